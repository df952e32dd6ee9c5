# SPDX-License-Identifier: Apache-2.0

provider "aws" {
  region              = "eu-central-1"
  allowed_account_ids = ["111111111111"]
}

run "example" {
  module {
    source = "./examples/minimal"
  }

  assert {
    condition     = jsondecode(output.connection_secret.document).version == 1
    error_message = "The document must say its version."
  }

  assert {
    condition     = can(regex("^arn:aws:secretsmanager:eu-central-1:111111111111:secret:example-connection-.+-.{6}$", output.connection_secret.secret_arn))
    error_message = "The output must be the full ARN."
  }
}

run "readable_by_the_named_alone" {
  variables {
    name                    = "handover"
    cluster_arn             = "arn:aws:kafka:eu-central-1:111111111111:cluster/handover/0123abcd-0000-4000-8000-000000000000-1"
    kafka_version           = "3.9.x.kraft"
    authentication          = "scram"
    client_idle_ms_max      = 870000
    reader_principal_arns   = ["arn:aws:iam::222222222222:root", "arn:aws:iam::333333333333:role/analytics"]
    recovery_window_in_days = 14
    brokers = {
      "1" = {
        host         = "b-1.handover.abcdef.c2.kafka.eu-central-1.amazonaws.com"
        port         = 9096
        service_name = "com.amazonaws.vpce.eu-central-1.vpce-svc-0123456789abcdef0"
        zone_ids     = ["euc1-az1"]
      }
    }
  }

  assert {
    condition     = aws_secretsmanager_secret.connection.kms_key_id == aws_kms_key.connection.arn && aws_kms_key.connection.enable_key_rotation
    error_message = "The secret must have a key of its own: the default key cannot be shared."
  }

  assert {
    condition     = aws_secretsmanager_secret.connection.recovery_window_in_days == 14
    error_message = "The recovery window must be the input's."
  }

  assert {
    condition     = aws_secretsmanager_secret.connection.name_prefix == "handover-connection-"
    error_message = "The name must be new each time, or destroy and apply fails inside the recovery window."
  }

  assert {
    condition     = toset(flatten([for s in jsondecode(aws_secretsmanager_secret_policy.connection.policy).Statement : s.Principal.AWS])) == toset(var.reader_principal_arns)
    error_message = "The secret's policy must name the readers and nobody else."
  }

  assert {
    condition     = toset(flatten([for s in jsondecode(aws_kms_key.connection.policy).Statement : s.Principal.AWS if s.Sid == "ReadFromOtherAccounts"])) == toset(var.reader_principal_arns)
    error_message = "The key's policy must name the readers and nobody else."
  }

  assert {
    condition = jsondecode(nonsensitive(aws_secretsmanager_secret_version.connection.secret_string)) == {
      version            = 1
      cluster            = "arn:aws:kafka:eu-central-1:111111111111:cluster/handover/0123abcd-0000-4000-8000-000000000000-1"
      region             = "eu-central-1"
      kafka_version      = "3.9.x.kraft"
      authentication     = "scram"
      client_idle_ms_max = 870000
      brokers = {
        "1" = {
          host         = "b-1.handover.abcdef.c2.kafka.eu-central-1.amazonaws.com"
          port         = 9096
          service_name = "com.amazonaws.vpce.eu-central-1.vpce-svc-0123456789abcdef0"
          zone_ids     = ["euc1-az1"]
        }
      }
    }
    error_message = "The document must have exactly the members of version 1."
  }
}

run "without_services_they_are_left_out" {
  command = plan

  variables {
    name                  = "managed"
    cluster_arn           = "arn:aws:kafka:eu-central-1:111111111111:cluster/managed/0123abcd-0000-4000-8000-000000000000-1"
    kafka_version         = "3.9.x.kraft"
    authentication        = "iam"
    reader_principal_arns = ["arn:aws:iam::222222222222:root"]
    brokers               = { "1" = { host = "b-1.managed.abcdef.c2.kafka.eu-central-1.amazonaws.com", port = 9098 } }
  }

  assert {
    condition     = !contains(keys(jsondecode(output.document)), "client_idle_ms_max")
    error_message = "Where nothing forgets idle connections, nothing must be said about them."
  }

  assert {
    condition     = join(",", keys(jsondecode(output.document).brokers["1"])) == "host,port"
    error_message = "Members without a value must be left out, not null."
  }
}

run "everybody_is_refused" {
  command = plan

  variables {
    name                  = "open"
    cluster_arn           = "arn:aws:kafka:eu-central-1:111111111111:cluster/open/0123abcd-0000-4000-8000-000000000000-1"
    kafka_version         = "3.9.x.kraft"
    authentication        = "scram"
    reader_principal_arns = ["*"]
    brokers               = {}
  }

  expect_failures = [var.reader_principal_arns]
}
