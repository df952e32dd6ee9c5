# SPDX-License-Identifier: Apache-2.0
# The way out of a cluster of three brokers, open to one role of another account.

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

variable "accepted_endpoints" {
  description = "Endpoints that may come through."
  type        = map(map(string))
  default     = {}
}

module "cluster" {
  source = "../../../kafka_cluster/examples/minimal"

  name = var.name
}

module "broker_exit" {
  source = "../.."

  name                     = var.name
  vpc_id                   = module.cluster.network.vpc_id
  subnets                  = module.cluster.subnets
  brokers                  = module.cluster.kafka_cluster.brokers
  port                     = module.cluster.kafka_cluster.ports.scram
  broker_security_group_id = module.cluster.kafka_cluster.security_group_id
  allowed_principal_arns   = ["arn:aws:iam::222222222222:root"]
  accepted_endpoints       = var.accepted_endpoints
  deletion_protection      = false
}

# The output alone, not the whole module: acceptance, inside of it, comes after the other side has used this.
output "services" {
  description = "The endpoint services by broker id."
  value       = module.broker_exit.services
}

output "target_group_arns" {
  description = "The target groups by broker id."
  value       = module.broker_exit.target_group_arns
}

output "cluster" {
  description = "The cluster, its network and its key."
  value       = module.cluster
}
