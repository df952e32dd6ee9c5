# SPDX-License-Identifier: Apache-2.0

provider "aws" {
  region              = "eu-central-1"
  allowed_account_ids = ["222222222222"]
}

run "example" {
  module {
    source = "./examples/minimal"
  }

  assert {
    condition = output.aggregate_table.names == {
      aggregates   = "example-aggregates"
      checkpoints  = "example-checkpoints"
      dead_letters = "example-dead-letters"
    }
    error_message = "Tables must carry the application's name."
  }
}

run "keys_and_protection" {
  variables {
    name        = "kept"
    kms_key_arn = run.example.kms_key_arn
  }

  assert {
    condition     = aws_dynamodb_table.this["aggregates"].hash_key == "device_id" && aws_dynamodb_table.this["aggregates"].range_key == "window_start"
    error_message = "The aggregates' keys must be those of the system that culvert replaces."
  }

  assert {
    condition     = toset([for a in aws_dynamodb_table.this["aggregates"].attribute : "${a.name} ${a.type}"]) == toset(["device_id N", "window_start S"])
    error_message = "device_id must be a number and window_start text."
  }

  assert {
    condition     = toset([for a in aws_dynamodb_table.this["checkpoints"].attribute : "${a.name} ${a.type}"]) == toset(["stream S", "partition N"])
    error_message = "Checkpoints must be keyed by stream and partition."
  }

  assert {
    condition     = toset([for a in aws_dynamodb_table.this["dead_letters"].attribute : "${a.name} ${a.type}"]) == toset(["position S", "offset N"])
    error_message = "Dead letters must be keyed by position and offset."
  }

  assert {
    condition = alltrue([
      for t in aws_dynamodb_table.this :
      t.billing_mode == "PAY_PER_REQUEST" && t.deletion_protection_enabled && t.point_in_time_recovery[0].enabled &&
      t.server_side_encryption[0].enabled && t.server_side_encryption[0].kms_key_arn == var.kms_key_arn
    ])
    error_message = "Tables must be protected, restorable and encrypted by default."
  }

  assert {
    condition     = one(aws_dynamodb_table.this["aggregates"].ttl[*].attribute_name) == "expires_at" && one(aws_dynamodb_table.this["aggregates"].ttl[*].enabled) == true
    error_message = "Aggregates must expire by expires_at, or the table only grows."
  }

  assert {
    condition     = length(aws_dynamodb_table.this["checkpoints"].ttl) == 0 && length(aws_dynamodb_table.this["dead_letters"].ttl) == 0
    error_message = "Checkpoints and dead letters must never expire."
  }
}

run "protection_off_before_the_end" {
  variables {
    name                = "kept"
    kms_key_arn         = run.example.kms_key_arn
    deletion_protection = false
    device_id_type      = "N"
  }
}

run "text_ids" {
  command = plan

  variables {
    name                = "text"
    kms_key_arn         = run.example.kms_key_arn
    deletion_protection = false
    device_id_type      = "S"
  }

  assert {
    condition     = contains([for a in aws_dynamodb_table.this["aggregates"].attribute : "${a.name} ${a.type}"], "device_id S")
    error_message = "Device ids may be text."
  }
}

run "other_types_are_refused" {
  command = plan

  variables {
    name           = "bytes"
    kms_key_arn    = run.example.kms_key_arn
    device_id_type = "B"
  }

  expect_failures = [var.device_id_type]
}
