# SPDX-License-Identifier: Apache-2.0
# Three tables: the aggregates, the checkpoints and the dead letters.
#
# Flow    stream_function, or a long-running consumer -> [aggregate_table] -> whoever reads the numbers.
# Owner   the analytics account.
# Bounds  paid by the request; expiry only for items that carry expires_at; protected from deletion unless told otherwise.
# See     docs/formats.md: the items.

locals {
  tables = {
    aggregates = {
      hash  = { name = "device_id", type = var.device_id_type }
      range = { name = "window_start", type = "S" }
    }
    checkpoints = {
      hash  = { name = "stream", type = "S" }
      range = { name = "partition", type = "N" }
    }
    dead_letters = {
      hash  = { name = "position", type = "S" }
      range = { name = "offset", type = "N" }
    }
  }
}

resource "aws_dynamodb_table" "this" {
  for_each = local.tables

  name                        = "${var.name}-${replace(each.key, "_", "-")}"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = each.value.hash.name
  range_key                   = each.value.range.name
  deletion_protection_enabled = var.deletion_protection

  dynamic "attribute" {
    for_each = [each.value.hash, each.value.range]

    content {
      name = attribute.value.name
      type = attribute.value.type
    }
  }

  # Nothing expires unless culvert writes the attribute, which it does only when it is told to.
  dynamic "ttl" {
    for_each = each.key == "aggregates" ? [true] : []

    content {
      attribute_name = "expires_at"
      enabled        = true
    }
  }

  point_in_time_recovery {
    enabled                 = true
    recovery_period_in_days = var.recovery_period_in_days
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = var.kms_key_arn
  }

  tags = { Name = "${var.name}-${replace(each.key, "_", "-")}" }
}

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  alarm_name          = "${var.name}-dead-letters"
  alarm_description   = "Records were set aside: culvert dead-letters list says which and why. (culvert doctor tries whether they may be, which counts as a write, too.)"
  namespace           = "AWS/DynamoDB"
  metric_name         = "ConsumedWriteCapacityUnits"
  dimensions          = { TableName = aws_dynamodb_table.this["dead_letters"].name }
  statistic           = "Sum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 60
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
}

resource "aws_cloudwatch_metric_alarm" "throttled" {
  for_each = aws_dynamodb_table.this

  alarm_name          = "${each.value.name}-write-throttled"
  alarm_description   = "Writes to ${each.value.name} are throttled: culvert slows down and retries; look for a hot device or an account limit."
  namespace           = "AWS/DynamoDB"
  metric_name         = "WriteThrottleEvents"
  dimensions          = { TableName = each.value.name }
  statistic           = "Sum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 60
  evaluation_periods  = 5
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
}
