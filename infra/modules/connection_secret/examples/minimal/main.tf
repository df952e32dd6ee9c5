# SPDX-License-Identifier: Apache-2.0
# The hand-over of a cluster of one broker to another account.

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

module "connection_secret" {
  source = "../.."

  name                    = var.name
  cluster_arn             = "arn:aws:kafka:eu-central-1:111111111111:cluster/example/0123abcd-0000-4000-8000-000000000000-1"
  kafka_version           = "3.9.x.kraft"
  authentication          = "scram"
  reader_principal_arns   = ["arn:aws:iam::222222222222:root"]
  recovery_window_in_days = 0

  brokers = {
    "1" = {
      host         = "b-1.example.abcdef.c2.kafka.eu-central-1.amazonaws.com"
      port         = 9096
      service_name = "com.amazonaws.vpce.eu-central-1.vpce-svc-0123456789abcdef0"
      zone_ids     = ["euc1-az1", "euc1-az2"]
    }
  }
}

output "connection_secret" {
  description = "Where the document is, and what it says."
  value       = module.connection_secret
}
