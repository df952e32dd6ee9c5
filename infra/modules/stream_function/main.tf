# SPDX-License-Identifier: Apache-2.0
# culvert as a Lambda function, and the event source mapping that feeds it.
#
# Flow    broker_entry (or a managed VPC connection) -> mapping -> [stream_function] -> aggregate_table.
# Owner   the analytics account.
# Bounds  the mapping never discards unless on_failure says so; the function reaches DynamoDB and nothing else.
# See     docs/formats.md; infra/README.md: "What it costs" (provisioned or on demand).

data "aws_caller_identity" "this" {}

locals {
  managed     = var.source_arn != null
  provisioned = var.poller.mode == "provisioned"
}

# ---- who it is ----

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.this.account_id]
    }
  }
}

resource "aws_iam_role" "function" {
  name_prefix        = "${var.name}-function-"
  description        = "culvert of ${var.name}: read ${var.topic}, write the aggregates"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

data "aws_iam_policy_document" "function" {
  #checkov:skip=CKV_AWS_111:the six network interface actions below cannot be limited to a resource
  #checkov:skip=CKV_AWS_356:the six network interface actions below cannot be limited to a resource
  statement {
    sid       = "WriteLogs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.function.arn}:*"]
  }

  statement {
    sid       = "WriteAggregates"
    actions   = ["dynamodb:BatchGetItem", "dynamodb:PutItem"]
    resources = [var.tables.aggregates.arn]
  }

  statement {
    sid       = "MoveCheckpoints"
    actions   = ["dynamodb:GetItem", "dynamodb:PutItem"]
    resources = [var.tables.checkpoints.arn]
  }

  statement {
    sid       = "SetDeadLettersAside"
    actions   = ["dynamodb:PutItem"]
    resources = [var.tables.dead_letters.arn]
  }

  # One key for the tables, the environment and the credentials.
  statement {
    sid       = "Decrypt"
    actions   = ["kms:Decrypt"]
    resources = [var.kms_key_arn]
  }

  # What the mapping's pollers and the function do with network interfaces in this role's name. AWS documents these six
  # as not limitable to a resource.
  statement {
    sid = "NetworkInterfaces"
    actions = [
      "ec2:CreateNetworkInterface",
      "ec2:DeleteNetworkInterface",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribeSecurityGroups",
      "ec2:DescribeSubnets",
      "ec2:DescribeVpcs",
    ]
    resources = ["*"]
  }

  dynamic "statement" {
    for_each = var.credentials_secret_arn == null ? [] : [var.credentials_secret_arn]

    content {
      sid       = "ReadCredentials"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = local.managed ? [true] : []

    content {
      sid       = "FindTheCluster"
      actions   = ["kafka:DescribeCluster", "kafka:DescribeClusterV2", "kafka:GetBootstrapBrokers"]
      resources = [var.cluster_arn]
    }
  }

  dynamic "statement" {
    for_each = local.managed ? [true] : []

    content {
      sid       = "FindTheConnection"
      actions   = ["kafka:DescribeVpcConnection"]
      resources = [var.source_arn]
    }
  }

  dynamic "statement" {
    for_each = local.managed ? [true] : []

    content {
      sid       = "ConnectToTheCluster"
      actions   = ["kafka-cluster:Connect", "kafka-cluster:DescribeClusterDynamicConfiguration"]
      resources = [var.cluster_arn]
    }
  }

  dynamic "statement" {
    for_each = local.managed ? [true] : []

    content {
      sid       = "ReadTheTopic"
      actions   = ["kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"]
      resources = ["${replace(var.cluster_arn, ":cluster/", ":topic/")}/${var.topic}"]
    }
  }

  dynamic "statement" {
    for_each = local.managed ? [true] : []

    content {
      sid       = "KeepItsPlace"
      actions   = ["kafka-cluster:AlterGroup", "kafka-cluster:DescribeGroup"]
      resources = ["${replace(var.cluster_arn, ":cluster/", ":group/")}/${var.consumer_group_id}"]
    }
  }

  dynamic "statement" {
    for_each = var.on_failure == null ? [] : [var.on_failure.destination_arn]

    content {
      sid       = "SendFailedBatches"
      actions   = [split(":", statement.value)[2] == "sqs" ? "sqs:SendMessage" : "sns:Publish"]
      resources = [statement.value]
    }
  }
}

resource "aws_iam_role_policy" "function" {
  name   = "function"
  role   = aws_iam_role.function.name
  policy = data.aws_iam_policy_document.function.json
}

# ---- what it reaches ----

resource "aws_vpc_security_group_egress_rule" "dynamodb" {
  security_group_id = var.function_security_group_id
  description       = "To the tables, by the gateway endpoint"
  prefix_list_id    = var.dynamodb_prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# ---- the function ----

resource "aws_cloudwatch_log_group" "function" {
  #checkov:skip=CKV_AWS_338:retention is an input; 30 days is the default of the system that culvert replaces
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_116:a dead letter queue is for asynchronous calls; the mapping calls and retries by itself
  #checkov:skip=CKV_AWS_272:the package is built here and compared by its hash; a signing profile is the platform team's
  #checkov:skip=CKV_AWS_50:culvert writes its own timings; a trace per batch would cost more than it tells
  function_name                  = var.name
  description                    = "culvert: windowed aggregates of ${var.topic}"
  role                           = aws_iam_role.function.arn
  filename                       = var.function_package
  source_code_hash               = filebase64sha256(var.function_package)
  package_type                   = "Zip"
  runtime                        = "provided.al2023"
  handler                        = "bootstrap"
  architectures                  = [var.architecture]
  memory_size                    = var.memory_mib
  timeout                        = var.timeout_seconds
  reserved_concurrent_executions = var.reserved_concurrency
  kms_key_arn                    = var.kms_key_arn

  vpc_config {
    subnet_ids         = var.subnet_ids
    security_group_ids = [var.function_security_group_id]
  }

  logging_config {
    log_format            = "JSON"
    log_group             = aws_cloudwatch_log_group.function.name
    application_log_level = var.log_level
    system_log_level      = "WARN"
  }

  environment {
    variables = {
      CULVERT_TABLE             = "dynamodb:${var.tables.aggregates.name}"
      CULVERT_CHECKPOINT_TABLE  = var.tables.checkpoints.name
      CULVERT_DEAD_LETTER_TABLE = var.tables.dead_letters.name
      CULVERT_WINDOW            = var.window.size
      CULVERT_ADVANCE           = coalesce(var.window.advance, var.window.size)
      CULVERT_OUT_OF_ORDERNESS  = var.window.out_of_orderness
      CULVERT_ALLOWED_LATENESS  = var.window.allowed_lateness
      CULVERT_GENERATION        = tostring(var.generation)
      # Without an on-failure destination the mapping never gives a batch up, so offsets that are missing between batches
      # are empty (transactions, compaction). With one, room is kept for the batch that may be redriven.
      CULVERT_GAPS = var.on_failure == null ? "empty" : "keep"
    }
  }

  # Made earlier, it would start without permissions, and Lambda would make a log group of its own that never expires.
  depends_on = [
    aws_cloudwatch_log_group.function,
    aws_iam_role_policy.function,
    aws_vpc_security_group_egress_rule.dynamodb,
  ]
}

resource "aws_lambda_event_source_mapping" "kafka" {
  function_name = aws_lambda_function.this.arn
  topics        = [var.topic]

  # LATEST would lose what arrives while the mapping is made or changed.
  starting_position                  = "TRIM_HORIZON"
  batch_size                         = var.batch_size
  maximum_batching_window_in_seconds = var.batching_window_seconds
  event_source_arn                   = var.source_arn

  # Without an on-failure destination nothing is ever given up: -1 is "for ever". With one, -1 silently means 10.
  maximum_retry_attempts         = local.provisioned ? (var.on_failure == null ? -1 : var.on_failure.maximum_retry_attempts) : null
  maximum_record_age_in_seconds  = local.provisioned ? (var.on_failure == null ? -1 : var.on_failure.maximum_record_age_seconds) : null
  bisect_batch_on_function_error = local.provisioned ? false : null

  dynamic "self_managed_event_source" {
    for_each = local.managed ? [] : [true]

    content {
      endpoints = { KAFKA_BOOTSTRAP_SERVERS = var.bootstrap_servers }
    }
  }

  # Named, so that a mapping that is made again goes on where the old one was.
  dynamic "self_managed_kafka_event_source_config" {
    for_each = local.managed ? [] : [true]

    content {
      consumer_group_id = var.consumer_group_id
    }
  }

  dynamic "amazon_managed_kafka_event_source_config" {
    for_each = local.managed ? [true] : []

    content {
      consumer_group_id = var.consumer_group_id
    }
  }

  dynamic "provisioned_poller_config" {
    for_each = local.provisioned ? [true] : []

    content {
      minimum_pollers   = var.poller.minimum
      maximum_pollers   = var.poller.maximum
      poller_group_name = var.poller.group_name
    }
  }

  dynamic "source_access_configuration" {
    for_each = local.managed ? [] : var.subnet_ids

    content {
      type = "VPC_SUBNET"
      uri  = "subnet:${source_access_configuration.value}"
    }
  }

  dynamic "source_access_configuration" {
    for_each = local.managed ? [] : [var.mapping_security_group_id]

    content {
      type = "VPC_SECURITY_GROUP"
      uri  = "security_group:${source_access_configuration.value}"
    }
  }

  dynamic "source_access_configuration" {
    for_each = var.credentials_secret_arn == null ? [] : [var.credentials_secret_arn]

    content {
      type = "SASL_SCRAM_512_AUTH"
      uri  = source_access_configuration.value
    }
  }

  dynamic "destination_config" {
    for_each = var.on_failure == null ? [] : [var.on_failure.destination_arn]

    content {
      on_failure {
        destination_arn = destination_config.value
      }
    }
  }

  lifecycle {
    precondition {
      condition     = local.managed ? var.cluster_arn != null : (var.bootstrap_servers != null && var.credentials_secret_arn != null)
      error_message = "A mapping needs either source_arn and cluster_arn (managed connection, IAM), or bootstrap_servers and credentials_secret_arn (a self-managed source cannot use IAM)."
    }

    precondition {
      condition     = var.on_failure == null || local.provisioned
      error_message = "on_failure needs poller.mode provisioned: an on-demand mapping retries for ever by itself."
    }
  }
}

# ---- alarms ----

locals {
  alarms = {
    errors = {
      description = "Batches fail, and are tried again: culvert never fails on a bad record, so the table refuses or cannot be reached."
      metric      = "Errors", statistic = "Sum", operator = "GreaterThanThreshold", threshold = 0, periods = 3
      missing     = "notBreaching"
    }
    throttles = {
      description = "The function is throttled: raise reserved_concurrency, or the account's limit."
      metric      = "Throttles", statistic = "Sum", operator = "GreaterThanThreshold", threshold = 0, periods = 5
      missing     = "notBreaching"
    }
    duration = {
      description = "A batch takes more than 80 % of the time-out: lower batch_size or raise memory_mib."
      metric      = "Duration", statistic = "Maximum", operator = "GreaterThanThreshold", threshold = var.timeout_seconds * 800, periods = 3
      missing     = "notBreaching"
    }
    lag = {
      description = "The function is ${var.lag_records_max} records behind: it is down, or too slow."
      metric      = "OffsetLag", statistic = "Maximum", operator = "GreaterThanThreshold", threshold = var.lag_records_max, periods = 5
      missing     = "breaching"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "function" {
  for_each = local.alarms

  alarm_name          = "${var.name}-function-${each.key}"
  alarm_description   = each.value.description
  namespace           = "AWS/Lambda"
  metric_name         = each.value.metric
  dimensions          = { FunctionName = aws_lambda_function.this.function_name }
  statistic           = each.value.statistic
  comparison_operator = each.value.operator
  threshold           = each.value.threshold
  period              = 60
  evaluation_periods  = each.value.periods
  treat_missing_data  = each.value.missing
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
}
