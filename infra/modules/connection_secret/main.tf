# SPDX-License-Identifier: Apache-2.0
# The hand-over: a versioned document that tells another account where the brokers are.
#
# Flow    kafka_cluster, broker_exit -> [connection_secret] ═ read by its full ARN ═> accounts/analytics, culvert --connection.
# Owner   the stream account.
# Bounds  read by the named principals alone; holds no password.
# See     infra/connection.schema.json: the document's form, version 1.

data "aws_caller_identity" "this" {}

data "aws_region" "this" {}

locals {
  document = merge({
    version        = 1
    cluster        = var.cluster_arn
    region         = data.aws_region.this.region
    kafka_version  = var.kafka_version
    authentication = var.authentication
    brokers = {
      for id, broker in var.brokers : id => {
        for key, x in {
          host         = broker.host
          port         = broker.port
          service_name = broker.service_name
          zone_ids     = broker.zone_ids
        } : key => x if x != null
      }
    }
  }, var.client_idle_ms_max == null ? {} : { client_idle_ms_max = var.client_idle_ms_max })
}

# The default key cannot be shared with another account: the secret needs one of its own.
data "aws_iam_policy_document" "key" {
  #checkov:skip=CKV_AWS_109:a key policy's resource is the key itself, and its owner must be able to administer it
  #checkov:skip=CKV_AWS_111:a key policy's resource is the key itself
  #checkov:skip=CKV_AWS_356:a key policy's resource is the key itself
  statement {
    sid       = "Administration"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::${data.aws_caller_identity.this.account_id}:root"]
    }
  }

  statement {
    sid       = "ReadFromOtherAccounts"
    actions   = ["kms:Decrypt"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = var.reader_principal_arns
    }

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["secretsmanager.${data.aws_region.this.region}.amazonaws.com"]
    }
  }
}

resource "aws_kms_key" "connection" {
  description             = "Hand-over of ${var.name} to other accounts"
  enable_key_rotation     = true
  deletion_window_in_days = var.recovery_window_in_days == 0 ? 7 : max(7, var.recovery_window_in_days)
  policy                  = data.aws_iam_policy_document.key.json
}

resource "aws_kms_alias" "connection" {
  name_prefix   = "alias/${var.name}-connection-"
  target_key_id = aws_kms_key.connection.key_id
}

resource "aws_secretsmanager_secret" "connection" {
  #checkov:skip=CKV2_AWS_57:holds addresses, not a password: there is nothing to rotate
  # With a prefix the name is new each time: destroy and apply work inside a recovery window.
  name_prefix             = "${var.name}-connection-"
  description             = "Where the brokers of ${var.name} are (version 1)"
  kms_key_id              = aws_kms_key.connection.arn
  recovery_window_in_days = var.recovery_window_in_days
}

resource "aws_secretsmanager_secret_version" "connection" {
  secret_id     = aws_secretsmanager_secret.connection.id
  secret_string = jsonencode(local.document)
}

data "aws_iam_policy_document" "connection" {
  statement {
    sid       = "ReadFromOtherAccounts"
    actions   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
    resources = [aws_secretsmanager_secret.connection.arn]

    principals {
      type        = "AWS"
      identifiers = var.reader_principal_arns
    }
  }
}

resource "aws_secretsmanager_secret_policy" "connection" {
  secret_arn          = aws_secretsmanager_secret.connection.arn
  policy              = data.aws_iam_policy_document.connection.json
  block_public_policy = true
}
