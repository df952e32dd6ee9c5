# SPDX-License-Identifier: Apache-2.0
# Both sides of the private path in one configuration: aws.stream is the account of the cluster, aws the consumer's.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source                = "hashicorp/aws"
      version               = "~> 6.66"
      configuration_aliases = [aws.stream]
    }
  }
}

variable "name" {
  description = "Prefix of every name."
  type        = string
  default     = "example"
}

module "stream" {
  source = "../../../broker_exit/examples/minimal"

  providers = { aws = aws.stream }

  name               = var.name
  accepted_endpoints = { analytics = module.broker_entry.endpoint_ids }
}

module "network" {
  source = "../../../network/examples/minimal"

  name = var.name
}

resource "aws_security_group" "consumer" {
  name_prefix = "${var.name}-consumer-"
  description = "A consumer of ${var.name}"
  vpc_id      = module.network.network.vpc_id
}

module "broker_entry" {
  source = "../.."

  name                      = var.name
  vpc_id                    = module.network.network.vpc_id
  subnets                   = module.network.network.private_subnets
  client_security_group_ids = { consumer = aws_security_group.consumer.id }

  brokers = {
    for id, service in module.stream.services : id => {
      host         = module.stream.cluster.kafka_cluster.brokers[id].host
      port         = module.stream.cluster.kafka_cluster.ports.scram
      service_name = service.service_name
      zone_ids     = service.zone_ids
    }
  }
}

output "broker_entry" {
  description = "What the way in offers."
  value       = module.broker_entry
}

output "stream" {
  description = "The other side."
  value       = module.stream
}

output "network" {
  description = "The consumer's network."
  value       = module.network.network
}

output "kms_key_arn" {
  description = "The key of the consumer's logs."
  value       = module.network.logs_kms_key_arn
}

output "consumer_security_group_id" {
  description = "The consumer's security group."
  value       = aws_security_group.consumer.id
}
