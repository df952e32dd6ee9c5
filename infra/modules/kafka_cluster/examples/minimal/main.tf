# SPDX-License-Identifier: Apache-2.0
# A cluster of three brokers in three zones, with one topic and one user.

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

variable "broker_count" {
  description = "Number of brokers."
  type        = number
  default     = 3
}

data "aws_region" "this" {}

module "network" {
  source = "../../../network/examples/minimal"

  name = var.name
}

resource "aws_subnet" "third" {
  vpc_id            = module.network.network.vpc_id
  cidr_block        = "10.0.3.0/24"
  availability_zone = "${data.aws_region.this.region}c"
}

locals {
  subnets = merge(module.network.network.private_subnets, {
    private_c = { id = aws_subnet.third.id, zone_id = aws_subnet.third.availability_zone_id }
  })
}

module "kafka_cluster" {
  source = "../.."

  name                    = var.name
  vpc_id                  = module.network.network.vpc_id
  subnets                 = local.subnets
  broker_count            = var.broker_count
  kms_key_arn             = module.network.logs_kms_key_arn
  topics                  = { telemetry = { partition_count = 6 } }
  scram_users             = { culvert = { reader_principal_arns = ["arn:aws:iam::222222222222:root"] } }
  recovery_window_in_days = 0
}

output "kafka_cluster" {
  description = "What the cluster offers."
  value       = module.kafka_cluster
}

output "network" {
  description = "The network, for modules that add to it."
  value       = module.network.network
}

output "subnets" {
  description = "The three subnets of the brokers."
  value       = local.subnets
}

output "kms_key_arn" {
  description = "The key of logs and disks."
  value       = module.network.logs_kms_key_arn
}
