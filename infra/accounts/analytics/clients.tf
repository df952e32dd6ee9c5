# SPDX-License-Identifier: Apache-2.0
# Ways to AWS services without the internet, and what a long-running consumer (culvert consume) may do.
#
# Whoever gets hold of a machine in the network finds endpoints that carry these calls on these things, and no others.

locals {
  secrets_endpoint  = coalesce(var.secrets_endpoint, length(var.client_security_group_ids) > 0 && var.nat_gateway_public_subnet == null)
  endpoint_services = local.on_demand ? toset(["lambda", "secretsmanager", "sts"]) : toset(local.secrets_endpoint ? ["secretsmanager"] : [])

  handed_over_secret_arns = compact([var.connection_secret_arn, var.credentials_secret_arn])

  # By names where the thing itself is made after the endpoints.
  endpoint_calls = {
    lambda = {
      action    = "lambda:InvokeFunction"
      resources = ["arn:aws:lambda:${var.region}:${data.aws_caller_identity.this.account_id}:function:${var.application_name}"]
    }
    secretsmanager = {
      action = "secretsmanager:GetSecretValue"
      resources = concat(
        local.secrets_endpoint ? local.handed_over_secret_arns : [],
        local.on_demand ? aws_secretsmanager_secret.credentials[*].arn : [],
      )
    }
    sts = {
      action    = "sts:AssumeRole"
      resources = ["arn:aws:iam::${data.aws_caller_identity.this.account_id}:role/${var.application_name}-function-*"]
    }
  }
}

# It limits what others grant: Lambda's pollers call as Lambda, not as this account, so no principal is named.
data "aws_iam_policy_document" "endpoint" {
  for_each = local.endpoint_services

  statement {
    sid       = "NamedThingsOnly"
    actions   = [local.endpoint_calls[each.key].action]
    resources = local.endpoint_calls[each.key].resources

    principals {
      type        = "*"
      identifiers = ["*"]
    }
  }
}

# ---- what the role of a long-running consumer needs (output client_policy) ----

data "aws_iam_policy_document" "client" {
  statement {
    sid       = "ReadTheHandOver"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = local.handed_over_secret_arns
  }

  # The other account's keys, whose ids this one does not know: for these secrets, by Secrets Manager, and for nothing else.
  statement {
    sid       = "DecryptTheHandOver"
    actions   = ["kms:Decrypt"]
    resources = ["arn:aws:kms:${var.region}:${split(":", var.connection_secret_arn)[4]}:key/*"]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["secretsmanager.${var.region}.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "kms:EncryptionContext:SecretARN"
      values   = local.handed_over_secret_arns
    }
  }

  statement {
    sid       = "WriteAggregates"
    actions   = ["dynamodb:BatchGetItem", "dynamodb:DescribeTable", "dynamodb:PutItem"]
    resources = [module.aggregate_table.arns.aggregates]
  }

  statement {
    sid       = "MoveCheckpoints"
    actions   = ["dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:PutItem"]
    resources = [module.aggregate_table.arns.checkpoints]
  }

  statement {
    sid       = "SetDeadLettersAside"
    actions   = ["dynamodb:DescribeTable", "dynamodb:PutItem"]
    resources = [module.aggregate_table.arns.dead_letters]
  }

  statement {
    sid       = "DecryptTheTables"
    actions   = ["kms:Decrypt"]
    resources = [aws_kms_key.analytics.arn]
  }

  dynamic "statement" {
    for_each = local.per_broker ? [] : [true]

    content {
      sid       = "ConnectToTheCluster"
      actions   = ["kafka-cluster:Connect"]
      resources = [local.connection.cluster]
    }
  }

  dynamic "statement" {
    for_each = local.per_broker ? [] : [true]

    content {
      sid       = "ReadTheTopic"
      actions   = ["kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"]
      resources = ["${replace(local.connection.cluster, ":cluster/", ":topic/")}/${var.topic}"]
    }
  }

  dynamic "statement" {
    for_each = local.per_broker ? [] : [true]

    content {
      sid       = "KeepItsPlace"
      actions   = ["kafka-cluster:AlterGroup", "kafka-cluster:DescribeGroup"]
      resources = ["${replace(local.connection.cluster, ":cluster/", ":group/")}/${var.client_consumer_group_id}"]
    }
  }
}
