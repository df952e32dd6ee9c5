# SPDX-License-Identifier: Apache-2.0
# Both accounts, joined by Amazon MSK's managed connectivity.

variables {
  deletion_protection     = false
  recovery_window_in_days = 0
}

run "stream" {
  module {
    source = "../stream"
  }

  variables {
    account_id                     = "111111111111"
    application_name               = "managed"
    path                           = "multi_vpc"
    allowed_service_principal_arns = ["arn:aws:iam::222222222222:root"]
  }
}

run "every_zone_of_the_cluster_needs_a_subnet" {
  command = plan

  variables {
    account_id            = "222222222222"
    application_name      = "managed"
    path                  = "multi_vpc"
    connection_secret_arn = run.stream.connection_secret_arn
  }

  expect_failures = [aws_msk_vpc_connection.cluster]
}

run "multi_vpc" {
  variables {
    account_id            = "222222222222"
    application_name      = "managed"
    path                  = "multi_vpc"
    connection_secret_arn = run.stream.connection_secret_arn

    private_subnets = {
      private_a = { cidr_block = "10.0.1.0/24", availability_zone = "eu-central-1a" }
      private_b = { cidr_block = "10.0.2.0/24", availability_zone = "eu-central-1b" }
      private_c = { cidr_block = "10.0.3.0/24", availability_zone = "eu-central-1c" }
    }
  }

  assert {
    condition     = alltrue([for id, broker in local.connection.brokers : startswith(broker.host, "b-${id}.iam.") && broker.port == 14000 + tonumber(id)])
    error_message = "The hand-over must name the brokers as managed connections do."
  }

  assert {
    condition     = length(aws_msk_vpc_connection.cluster) == 1 && aws_msk_vpc_connection.cluster[0].authentication == "SASL_IAM"
    error_message = "The managed connection must authenticate by IAM."
  }

  assert {
    condition     = length(output.accepted_endpoints) == 0 && length(aws_secretsmanager_secret.credentials) == 0
    error_message = "The managed connection needs no endpoints to accept and no password."
  }

  assert {
    condition     = alltrue([for rule in concat(aws_vpc_security_group_ingress_rule.connection, aws_vpc_security_group_egress_rule.connection) : rule.from_port == 14001 && rule.to_port == 14100])
    error_message = "Managed connections use ports 14001 to 14100."
  }
}
