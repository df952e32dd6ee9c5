# SPDX-License-Identifier: Apache-2.0
# Each minute: compare each broker's present address with its load balancer's target, and follow it when it has moved.
#
# Flow    kafka_cluster (ListNodes, by broker id) -> [broker_addresses] -> broker_exit's target groups.
# Owner   the stream account.
# Bounds  may register and deregister targets of these groups and nothing else; never removes the last healthy target.
# See     infra/README.md: "When a broker moves".

data "aws_caller_identity" "this" {}

locals {
  function_name = "${var.name}-broker-addresses"

  environment = {
    CULVERT_ROLE        = "reconcile"
    CULVERT_CLUSTER_ARN = var.cluster_arn
    CULVERT_BROKERS = jsonencode({
      for id, broker in var.brokers : id => {
        host             = broker.host
        port             = var.port
        target_group_arn = broker.target_group_arn
      }
    })
  }
}

resource "aws_cloudwatch_log_group" "function" {
  #checkov:skip=CKV_AWS_338:retention is an input; 30 days is the default of the system that culvert replaces
  name              = "/aws/lambda/${local.function_name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

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
  name_prefix        = "${var.name}-broker-addresses-"
  description        = "Keeps the targets of the brokers of ${var.name} up to date"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

data "aws_iam_policy_document" "function" {
  #checkov:skip=CKV_AWS_356:DescribeTargetHealth knows no resource; it reads, and changes nothing
  statement {
    sid       = "WriteLogs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.function.arn}:*"]
  }

  statement {
    sid       = "WhereTheBrokersAre"
    actions   = ["kafka:ListNodes"]
    resources = [var.cluster_arn]
  }

  # Elastic Load Balancing's describe actions cannot be limited to a resource.
  statement {
    sid       = "WhichTargetsAreHealthy"
    actions   = ["elasticloadbalancing:DescribeTargetHealth"]
    resources = ["*"]
  }

  statement {
    sid       = "FollowThem"
    actions   = ["elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"]
    resources = [for broker in var.brokers : broker.target_group_arn]
  }

  statement {
    sid       = "DecryptItsEnvironment"
    actions   = ["kms:Decrypt"]
    resources = [var.kms_key_arn]
  }
}

resource "aws_iam_role_policy" "function" {
  name   = "reconcile"
  role   = aws_iam_role.function.name
  policy = data.aws_iam_policy_document.function.json
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_116:called each minute anew; a call that failed needs no queue
  #checkov:skip=CKV_AWS_117:calls public service interfaces alone; in the VPC it would need endpoints that cost money
  #checkov:skip=CKV_AWS_272:the package is built here and compared by its hash; a signing profile is the platform team's
  #checkov:skip=CKV_AWS_50:one short call a minute; its log says what it did
  function_name                  = local.function_name
  description                    = "culvert: keeps the targets of the brokers up to date"
  role                           = aws_iam_role.function.arn
  filename                       = var.function_package
  source_code_hash               = filebase64sha256(var.function_package)
  package_type                   = "Zip"
  runtime                        = "provided.al2023"
  handler                        = "bootstrap"
  architectures                  = [var.architecture]
  memory_size                    = 128
  timeout                        = 50
  reserved_concurrent_executions = 1 # two at once could each remove what the other relies on
  kms_key_arn                    = var.kms_key_arn

  logging_config {
    log_format            = "JSON"
    log_group             = aws_cloudwatch_log_group.function.name
    application_log_level = "INFO"
    system_log_level      = "WARN"
  }

  environment {
    variables = local.environment
  }

  depends_on = [aws_cloudwatch_log_group.function, aws_iam_role_policy.function]

  lifecycle {
    precondition {
      condition     = sum([for key, text in local.environment : length(key) + length(text)]) <= 4096
      error_message = "The environment that lists ${length(var.brokers)} brokers is longer than the 4096 bytes that Lambda allows."
    }
  }
}

# ---- once a minute ----

data "aws_iam_policy_document" "schedule_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.this.account_id]
    }
  }
}

resource "aws_iam_role" "schedule" {
  name_prefix        = "${var.name}-each-minute-"
  description        = "Calls ${local.function_name}"
  assume_role_policy = data.aws_iam_policy_document.schedule_trust.json
}

data "aws_iam_policy_document" "schedule" {
  statement {
    sid       = "CallTheFunction"
    actions   = ["lambda:InvokeFunction"]
    resources = [aws_lambda_function.this.arn]
  }
}

resource "aws_iam_role_policy" "schedule" {
  name   = "call"
  role   = aws_iam_role.schedule.name
  policy = data.aws_iam_policy_document.schedule.json
}

resource "aws_scheduler_schedule" "each_minute" {
  #checkov:skip=CKV_AWS_297:the schedule carries no input that could be encrypted
  name                = local.function_name
  description         = "Follows the brokers of ${var.name}"
  schedule_expression = "rate(1 minute)"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.this.arn
    role_arn = aws_iam_role.schedule.arn

    retry_policy {
      maximum_retry_attempts       = 0 # the next minute's call is the retry
      maximum_event_age_in_seconds = 60
    }
  }

  depends_on = [aws_iam_role_policy.schedule]
}

# ---- alarms ----

resource "aws_cloudwatch_metric_alarm" "failing" {
  alarm_name          = "${local.function_name}-failing"
  alarm_description   = "The brokers' addresses could not be followed, or a broker is not who it was: nothing was touched; the function's log says which."
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  dimensions          = { FunctionName = aws_lambda_function.this.function_name }
  statistic           = "Sum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 60
  evaluation_periods  = 2
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
}

resource "aws_cloudwatch_metric_alarm" "behind" {
  alarm_name          = "${local.function_name}-behind"
  alarm_description   = "For a quarter of an hour a load balancer has not led to where its broker is: the new address does not become healthy; the function's log says why."
  namespace           = "culvert"
  metric_name         = "brokers_behind"
  dimensions          = { service = aws_lambda_function.this.function_name }
  statistic           = "Minimum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 60
  evaluation_periods  = 15
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
}

resource "aws_cloudwatch_metric_alarm" "silent" {
  alarm_name          = "${local.function_name}-silent"
  alarm_description   = "Nobody has looked after the brokers' addresses for five minutes."
  namespace           = "AWS/Lambda"
  metric_name         = "Invocations"
  dimensions          = { FunctionName = aws_lambda_function.this.function_name }
  statistic           = "Sum"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = 60
  evaluation_periods  = 5
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
}
