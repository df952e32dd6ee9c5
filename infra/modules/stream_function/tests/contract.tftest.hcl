# SPDX-License-Identifier: Apache-2.0
# What the program and the mapping are promised: a plan alone, since nothing of it must be applied first.

provider "aws" {
  region              = "eu-central-1"
  allowed_account_ids = ["222222222222"]
}

run "contract_with_the_program" {
  command = plan

  variables {
    name                       = "own"
    topic                      = "telemetry"
    consumer_group_id          = "own"
    bootstrap_servers          = "b-1.own.abcdef.c2.kafka.eu-central-1.amazonaws.com:9096"
    credentials_secret_arn     = "arn:aws:secretsmanager:eu-central-1:222222222222:secret:own-kafka-a1b2c3"
    subnet_ids                 = ["subnet-00000000000000001", "subnet-00000000000000002"]
    function_security_group_id = "sg-00000000000000001"
    mapping_security_group_id  = "sg-00000000000000002"
    dynamodb_prefix_list_id    = "pl-00000001"
    kms_key_arn                = "arn:aws:kms:eu-central-1:222222222222:key/00000000-0000-4000-8000-000000000000"
    tables = {
      aggregates   = { name = "example-aggregates", arn = "arn:aws:dynamodb:eu-central-1:222222222222:table/example-aggregates" }
      checkpoints  = { name = "example-checkpoints", arn = "arn:aws:dynamodb:eu-central-1:222222222222:table/example-checkpoints" }
      dead_letters = { name = "example-dead-letters", arn = "arn:aws:dynamodb:eu-central-1:222222222222:table/example-dead-letters" }
    }
    generation = 3
    window     = { size = "5m", advance = "1m" }
  }

  assert {
    condition = aws_lambda_function.this.environment[0].variables == tomap({
      CULVERT_TABLE             = "dynamodb:example-aggregates"
      CULVERT_CHECKPOINT_TABLE  = "example-checkpoints"
      CULVERT_DEAD_LETTER_TABLE = "example-dead-letters"
      CULVERT_WINDOW            = "5m"
      CULVERT_ADVANCE           = "1m"
      CULVERT_OUT_OF_ORDERNESS  = "5s"
      CULVERT_ALLOWED_LATENESS  = "1h"
      CULVERT_GENERATION        = "3"
      CULVERT_GAPS              = "empty"
    })
    error_message = "The function must be told its tables, windows and generation."
  }

  assert {
    condition     = aws_lambda_function.this.runtime == "provided.al2023" && aws_lambda_function.this.handler == "bootstrap" && aws_lambda_function.this.reserved_concurrent_executions == 20
    error_message = "The function must be a custom runtime with reserved concurrency."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.kafka.starting_position == "TRIM_HORIZON"
    error_message = "LATEST loses what arrives while the mapping is made."
  }

  assert {
    condition     = one(aws_lambda_event_source_mapping.kafka.self_managed_kafka_event_source_config[*].consumer_group_id) == "own"
    error_message = "The consumer group must be named, or a mapping that is made again loses its place."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.kafka.topics == toset(["telemetry"])
    error_message = "The mapping must read the given topic."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.kafka.batch_size == 5000
    error_message = "Batches must be large."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.kafka.provisioned_poller_config[0].minimum_pollers == 1 && aws_lambda_event_source_mapping.kafka.provisioned_poller_config[0].poller_group_name == "culvert"
    error_message = "Pollers must be provisioned and shared by default."
  }

  assert {
    condition = alltrue([
      aws_lambda_event_source_mapping.kafka.maximum_retry_attempts == -1,
      aws_lambda_event_source_mapping.kafka.maximum_record_age_in_seconds == -1,
      aws_lambda_event_source_mapping.kafka.bisect_batch_on_function_error == false,
      length(aws_lambda_event_source_mapping.kafka.destination_config) == 0,
    ])
    error_message = "The mapping must never discard."
  }

  assert {
    condition     = toset([for a in aws_lambda_event_source_mapping.kafka.source_access_configuration : a.type]) == toset(["VPC_SUBNET", "VPC_SECURITY_GROUP", "SASL_SCRAM_512_AUTH"])
    error_message = "A self-managed mapping logs in by SCRAM from the private subnets."
  }

  assert {
    condition     = aws_cloudwatch_log_group.function.retention_in_days == 30 && aws_cloudwatch_log_group.function.kms_key_id == var.kms_key_arn
    error_message = "Logs must be kept 30 days and encrypted."
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.dynamodb.prefix_list_id == var.dynamodb_prefix_list_id && aws_vpc_security_group_egress_rule.dynamodb.to_port == 443
    error_message = "The function must reach DynamoDB by its prefix list alone."
  }

  assert {
    condition     = toset(keys(aws_cloudwatch_metric_alarm.function)) == toset(["errors", "throttles", "duration", "lag"])
    error_message = "Errors, throttling, slowness and lag must raise alarms."
  }
}
