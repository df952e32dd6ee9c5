# SPDX-License-Identifier: Apache-2.0
# The three tables with a key of their own.

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

resource "aws_kms_key" "tables" {
  description             = "Tables of ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 7
}

module "aggregate_table" {
  source = "../.."

  name                = var.name
  kms_key_arn         = aws_kms_key.tables.arn
  deletion_protection = false
}

output "aggregate_table" {
  description = "Names and ARNs of the tables."
  value       = module.aggregate_table
}

output "kms_key_arn" {
  description = "The key of the tables."
  value       = aws_kms_key.tables.arn
}
