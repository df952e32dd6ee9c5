# SPDX-License-Identifier: Apache-2.0

provider "aws" {
  region              = "eu-central-1"
  allowed_account_ids = ["222222222222"]
}

provider "aws" {
  alias               = "stream"
  region              = "eu-central-1"
  allowed_account_ids = ["111111111111"]
}

run "example" {
  module {
    source = "./examples/minimal"
  }

  providers = {
    aws        = aws
    aws.stream = aws.stream
  }

  assert {
    condition     = output.stream_function.function_name == "example" && output.stream_function.last_processing_result == "No records processed"
    error_message = "The mapping must be able to poll and to call."
  }
}

run "contract_with_the_program" {
  variables {
    name                       = "own"
    topic                      = "telemetry"
    consumer_group_id          = "own"
    bootstrap_servers          = run.example.inputs.bootstrap_servers
    credentials_secret_arn     = run.example.inputs.credentials_secret_arn
    tables                     = run.example.inputs.tables
    subnet_ids                 = run.example.inputs.subnet_ids
    function_security_group_id = run.example.inputs.mapping_security_group_id
    mapping_security_group_id  = run.example.inputs.mapping_security_group_id
    dynamodb_prefix_list_id    = run.example.inputs.prefix_list_id
    kms_key_arn                = run.example.inputs.kms_key_arn
    generation                 = 3
    window                     = { size = "5m", advance = "1m" }
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
    condition     = aws_lambda_event_source_mapping.kafka.self_managed_kafka_event_source_config[0].consumer_group_id == "own"
    error_message = "The consumer group must be named, or a mapping that is made again loses its place."
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

  assert {
    condition = alltrue([
      for s in jsondecode(aws_iam_role_policy.function.policy).Statement :
      s.Resource != "*" || s.Sid == "NetworkInterfaces"
    ])
    error_message = "Only the network interface actions may have no resource."
  }
}

run "failed_batches_may_be_sent_away" {
  command = plan

  variables {
    name                       = "own"
    topic                      = "telemetry"
    consumer_group_id          = "own"
    bootstrap_servers          = run.example.inputs.bootstrap_servers
    credentials_secret_arn     = run.example.inputs.credentials_secret_arn
    tables                     = run.example.inputs.tables
    subnet_ids                 = run.example.inputs.subnet_ids
    function_security_group_id = run.example.inputs.mapping_security_group_id
    mapping_security_group_id  = run.example.inputs.mapping_security_group_id
    dynamodb_prefix_list_id    = run.example.inputs.prefix_list_id
    kms_key_arn                = run.example.inputs.kms_key_arn
    on_failure                 = { destination_arn = "arn:aws:sqs:eu-central-1:222222222222:failed", maximum_retry_attempts = 100 }
  }

  assert {
    condition     = aws_lambda_event_source_mapping.kafka.maximum_retry_attempts == 100 && aws_lambda_event_source_mapping.kafka.destination_config[0].on_failure[0].destination_arn == "arn:aws:sqs:eu-central-1:222222222222:failed"
    error_message = "The number of attempts must be said when batches may be given up."
  }

  assert {
    condition     = strcontains(aws_iam_role_policy.function.policy, "sqs:SendMessage")
    error_message = "The role must be allowed to send failed batches away."
  }
}

run "silent_ten_attempts_are_refused" {
  command = plan

  variables {
    name                       = "own"
    topic                      = "telemetry"
    consumer_group_id          = "own"
    bootstrap_servers          = run.example.inputs.bootstrap_servers
    credentials_secret_arn     = run.example.inputs.credentials_secret_arn
    tables                     = run.example.inputs.tables
    subnet_ids                 = run.example.inputs.subnet_ids
    function_security_group_id = run.example.inputs.mapping_security_group_id
    mapping_security_group_id  = run.example.inputs.mapping_security_group_id
    dynamodb_prefix_list_id    = run.example.inputs.prefix_list_id
    kms_key_arn                = run.example.inputs.kms_key_arn
    on_failure                 = { destination_arn = "arn:aws:sqs:eu-central-1:222222222222:failed", maximum_retry_attempts = -1 }
  }

  expect_failures = [var.on_failure]
}

run "small_batches_and_odd_pollers_are_refused" {
  command = plan

  variables {
    name                       = "own"
    topic                      = "telemetry"
    consumer_group_id          = "own"
    bootstrap_servers          = run.example.inputs.bootstrap_servers
    credentials_secret_arn     = run.example.inputs.credentials_secret_arn
    tables                     = run.example.inputs.tables
    subnet_ids                 = run.example.inputs.subnet_ids
    function_security_group_id = run.example.inputs.mapping_security_group_id
    mapping_security_group_id  = run.example.inputs.mapping_security_group_id
    dynamodb_prefix_list_id    = run.example.inputs.prefix_list_id
    kms_key_arn                = run.example.inputs.kms_key_arn
    batch_size                 = 10
    poller                     = { mode = "serverless" }
    generation                 = 0
  }

  expect_failures = [var.batch_size, var.poller, var.generation]
}

run "a_self_managed_source_without_a_user_is_refused" {
  command = plan

  variables {
    name                       = "own"
    topic                      = "telemetry"
    consumer_group_id          = "own"
    bootstrap_servers          = run.example.inputs.bootstrap_servers
    tables                     = run.example.inputs.tables
    subnet_ids                 = run.example.inputs.subnet_ids
    function_security_group_id = run.example.inputs.mapping_security_group_id
    mapping_security_group_id  = run.example.inputs.mapping_security_group_id
    dynamodb_prefix_list_id    = run.example.inputs.prefix_list_id
    kms_key_arn                = run.example.inputs.kms_key_arn
  }

  expect_failures = [aws_lambda_event_source_mapping.kafka]
}
