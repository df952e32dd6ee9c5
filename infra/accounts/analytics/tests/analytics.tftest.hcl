# SPDX-License-Identifier: Apache-2.0
# Both accounts: the stream root is applied first, as for real.

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
    allowed_service_principal_arns = ["arn:aws:iam::222222222222:root"]
  }
}

run "endpoint_per_broker" {
  variables {
    account_id             = "222222222222"
    connection_secret_arn  = run.stream.connection_secret_arn
    credentials_secret_arn = run.stream.credentials_secret_arn
  }

  assert {
    condition     = length(output.accepted_endpoints) == 3 && alltrue([for id in values(output.accepted_endpoints) : startswith(id, "vpce-")])
    error_message = "The endpoints to accept must be printed by broker id."
  }

  assert {
    condition     = output.last_processing_result == "No records processed"
    error_message = "The mapping must be able to poll and to call."
  }

  assert {
    condition     = output.tables == { aggregates = "telemetry-aggregates", checkpoints = "telemetry-checkpoints", dead_letters = "telemetry-dead-letters" }
    error_message = "The tables must carry the application's name."
  }

  assert {
    condition     = alltrue([for v in aws_secretsmanager_secret_version.credentials : v.has_secret_string_wo && v.secret_string == null])
    error_message = "No password may be in the state."
  }

  assert {
    condition     = length(toset([module.broker_entry[0].security_group_id, aws_security_group.function.id, aws_security_group.mapping.id])) == 3
    error_message = "Endpoints, function and pollers must each have a group of their own."
  }

  assert {
    condition = alltrue([
      var.vpc_cidr_block == "10.0.0.0/16",
      toset([for s in var.private_subnets : s.availability_zone]) == toset(["eu-central-1a", "eu-central-1b"]),
      toset([for s in var.public_subnets : s.availability_zone]) == toset(["eu-central-1a", "eu-central-1b"]),
      var.nat_gateway_public_subnet == null,
    ])
    error_message = "The default address plan must stay as it is, without a NAT gateway."
  }
}

run "on_demand_has_the_endpoints_that_it_calls" {
  variables {
    account_id             = "222222222222"
    application_name       = "ondemand"
    connection_secret_arn  = run.stream.connection_secret_arn
    credentials_secret_arn = run.stream.credentials_secret_arn
    poller                 = { mode = "on_demand" }
  }

  assert {
    condition     = output.last_processing_result == "No records processed"
    error_message = "An on-demand mapping must reach Lambda, STS and Secrets Manager."
  }

  assert {
    condition     = local.endpoint_services == toset(["lambda", "secretsmanager", "sts"]) && jsondecode(data.aws_iam_policy_document.endpoint["secretsmanager"].json).Statement[0].Resource == aws_secretsmanager_secret.credentials[0].arn
    error_message = "The pollers must find their own user by the endpoint, and no other secret."
  }
}

run "nobody_pays_for_an_endpoint_that_nobody_uses" {
  command = plan

  variables {
    account_id             = "222222222222"
    connection_secret_arn  = run.stream.connection_secret_arn
    credentials_secret_arn = run.stream.credentials_secret_arn
  }

  assert {
    condition     = length(local.endpoint_services) == 0
    error_message = "Without long-running consumers there must be no interface endpoint of an AWS service."
  }
}

run "consumers_read_the_two_secrets_and_no_other" {
  command = plan

  variables {
    account_id                = "222222222222"
    connection_secret_arn     = run.stream.connection_secret_arn
    credentials_secret_arn    = run.stream.credentials_secret_arn
    client_security_group_ids = { daemon = "sg-0123456789abcdef0" }
  }

  assert {
    condition     = local.endpoint_services == toset(["secretsmanager"])
    error_message = "Consumers that run for long must have a way to Secrets Manager, and to no other service."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(data.aws_iam_policy_document.endpoint["secretsmanager"].json).Statement :
      statement.Effect == "Allow" && statement.Action == "secretsmanager:GetSecretValue" && toset(statement.Resource) == toset([var.connection_secret_arn, var.credentials_secret_arn])
    ])
    error_message = "The endpoint must carry the two handed-over secrets and nothing else."
  }
}

run "a_nat_gateway_is_a_way_too" {
  command = plan

  variables {
    account_id                = "222222222222"
    connection_secret_arn     = run.stream.connection_secret_arn
    credentials_secret_arn    = run.stream.credentials_secret_arn
    client_security_group_ids = { daemon = "sg-0123456789abcdef0" }
    nat_gateway_public_subnet = "public_a"
  }

  assert {
    condition     = length(local.endpoint_services) == 0
    error_message = "Where there is a NAT gateway nobody should pay for an endpoint beside it without asking."
  }
}

run "an_endpoint_for_nobody_is_refused" {
  command = plan

  variables {
    account_id             = "222222222222"
    connection_secret_arn  = run.stream.connection_secret_arn
    credentials_secret_arn = run.stream.credentials_secret_arn
    secrets_endpoint       = true
  }

  expect_failures = [var.secrets_endpoint]
}

run "the_other_path_is_refused" {
  command = plan

  variables {
    account_id            = "222222222222"
    path                  = "multi_vpc"
    connection_secret_arn = run.stream.connection_secret_arn
  }

  expect_failures = [data.aws_secretsmanager_secret_version.connection]
}

run "another_region_is_refused" {
  command = plan

  variables {
    account_id             = "222222222222"
    region                 = "eu-west-1"
    private_subnets        = { only = { cidr_block = "10.0.1.0/24", availability_zone = "eu-west-1a" } }
    public_subnets         = {}
    connection_secret_arn  = run.stream.connection_secret_arn
    credentials_secret_arn = run.stream.credentials_secret_arn
  }

  expect_failures = [var.connection_secret_arn, var.credentials_secret_arn]
}

run "values_that_aws_would_refuse_are_refused_before_anything_is_made" {
  command = plan

  variables {
    account_id              = "22222222222"
    connection_secret_arn   = run.stream.connection_secret_arn
    credentials_secret_arn  = run.stream.credentials_secret_arn
    lag_records_max         = 0
    log_level               = "LOUD"
    log_retention_days      = 31
    memory_mib              = 64
    recovery_window_in_days = 3
  }

  expect_failures = [var.account_id, var.lag_records_max, var.log_level, var.log_retention_days, var.memory_mib, var.recovery_window_in_days]
}

run "a_secret_by_name_is_refused" {
  command = plan

  variables {
    account_id             = "222222222222"
    connection_secret_arn  = "telemetry-connection"
    credentials_secret_arn = run.stream.credentials_secret_arn

    client_security_group_ids = { daemon = "10.0.0.0/8" }
  }

  expect_failures = [var.connection_secret_arn, var.client_security_group_ids]
}
