# SPDX-License-Identifier: Apache-2.0
# One sensor in front of a cluster of three brokers.

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

variable "program_package" {
  description = "Path of the archive with the program."
  type        = string
}

module "cluster" {
  source = "../../../kafka_cluster/examples/minimal"

  name = var.name
}

module "sensor_fleet" {
  source = "../.."

  name                     = var.name
  vpc_id                   = module.cluster.network.vpc_id
  subnet_ids               = [for subnet in module.cluster.subnets : subnet.id]
  program_package          = var.program_package
  cluster_arn              = module.cluster.kafka_cluster.cluster_arn
  cluster_name             = module.cluster.kafka_cluster.cluster_name
  topic                    = "telemetry"
  topic_arn                = module.cluster.kafka_cluster.topic_arns["telemetry"]
  bootstrap_servers        = join(",", [for broker in module.cluster.kafka_cluster.brokers : "${broker.host}:${module.cluster.kafka_cluster.ports.iam}"])
  broker_security_group_id = module.cluster.kafka_cluster.security_group_id
  s3_prefix_list_id        = module.cluster.network.prefix_list_ids["s3"]
  kms_key_arn              = module.cluster.kms_key_arn
}

output "sensor_fleet" {
  description = "The sensors."
  value       = module.sensor_fleet
}

output "cluster" {
  description = "The cluster, its network and its key."
  value       = module.cluster
}
