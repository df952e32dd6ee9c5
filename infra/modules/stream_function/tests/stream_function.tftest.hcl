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
    reserved_concurrency       = 0
    lag_records_max            = 0
    window                     = { size = "1m", advance = "7s" }
  }

  expect_failures = [var.batch_size, var.poller, var.generation, var.reserved_concurrency, var.lag_records_max, var.window]
}

run "too_many_windows_for_a_reading_are_refused" {
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
    window                     = { size = "1h", advance = "1s" }
  }

  expect_failures = [var.window]
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
