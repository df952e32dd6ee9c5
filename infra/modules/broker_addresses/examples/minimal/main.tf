# SPDX-License-Identifier: Apache-2.0
# Follows the brokers of a cluster of three.

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

variable "function_package" {
  description = "Path of the function's zip."
  type        = string
}

module "exit" {
  source = "../../../broker_exit/examples/minimal"

  name = var.name
}

module "broker_addresses" {
  source = "../.."

  name             = var.name
  function_package = var.function_package
  cluster_arn      = module.exit.cluster.kafka_cluster.cluster_arn
  port             = module.exit.cluster.kafka_cluster.ports.scram
  kms_key_arn      = module.exit.cluster.kms_key_arn

  brokers = {
    for id, arn in module.exit.target_group_arns : id => {
      host             = module.exit.cluster.kafka_cluster.brokers[id].host
      target_group_arn = arn
    }
  }
}

output "broker_addresses" {
  description = "The function."
  value       = module.broker_addresses
}

output "exit" {
  description = "The way out and the cluster."
  value       = module.exit
}
