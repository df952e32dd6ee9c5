# SPDX-License-Identifier: Apache-2.0
# A network of two private subnets, with the key that its flow logs need.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.66"
    }
  }
}

variable "name" {
  description = "Prefix of every name."
  type        = string
  default     = "example"
}

data "aws_caller_identity" "this" {}

data "aws_region" "this" {}

data "aws_iam_policy_document" "logs_key" {
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
    sid       = "Logs"
    actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["logs.${data.aws_region.this.region}.amazonaws.com"]
    }
  }
}

resource "aws_kms_key" "logs" {
  description             = "Logs of ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 7
  policy                  = data.aws_iam_policy_document.logs_key.json
}

module "network" {
  source = "../.."

  name             = var.name
  vpc_cidr_block   = "10.0.0.0/16"
  logs_kms_key_arn = aws_kms_key.logs.arn

  private_subnets = {
    private_a = { cidr_block = "10.0.1.0/24", availability_zone = "${data.aws_region.this.region}a" }
    private_b = { cidr_block = "10.0.2.0/24", availability_zone = "${data.aws_region.this.region}b" }
  }
}

output "network" {
  description = "What the network offers."
  value       = module.network
}

output "logs_kms_key_arn" {
  description = "The key of the logs."
  value       = aws_kms_key.logs.arn
}
