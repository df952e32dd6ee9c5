# SPDX-License-Identifier: Apache-2.0

locals {
  administrator_bootstrap_servers = join(",", [for broker in module.kafka_cluster.brokers : "${broker.host}:${module.kafka_cluster.ports.iam}"])
}

output "connection_secret_arn" {
  description = "For the analytics root: where the brokers are."
  value       = module.connection_secret.secret_arn
}

output "credentials_secret_arn" {
  description = "For the analytics root: the consumer's user; null with multi_vpc."
  value       = local.per_broker ? module.kafka_cluster.user_secret_arns[local.consumer_user] : null
}

output "connection_document" {
  description = "The hand-over as it was written (infra/connection.schema.json)."
  value       = module.connection_secret.document
}

output "cluster_arn" {
  description = "ARN of the cluster."
  value       = module.kafka_cluster.cluster_arn
}

output "administrator_policy" {
  description = "IAM policy of whoever makes the ACLs, once, from inside the VPC."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "MakeACLs"
      Effect   = "Allow"
      Action   = module.kafka_cluster.administrator_actions
      Resource = module.kafka_cluster.cluster_arn
    }]
  })
}

output "administrator_bootstrap_servers" {
  description = "host:port of the brokers' IAM listeners, for whoever makes the ACLs."
  value       = local.administrator_bootstrap_servers
}

output "administrator_network" {
  description = "Where an administrator's instance can be: VPC, and private subnets by name."
  value = {
    vpc_id     = module.network.vpc_id
    subnet_ids = { for name, subnet in module.network.private_subnets : name => subnet.id }
  }
}

output "consumer_acls" {
  description = "ACLs that the consumer needs, and no others; acl_script makes them. None with multi_vpc, where IAM decides."
  value       = module.kafka_cluster.acls
}

output "acl_script" {
  description = "A shell script that makes consumer_acls, for an administrator inside the VPC (infra/README.md: First data); null with multi_vpc."
  value = local.per_broker ? templatefile("${path.module}/acls.sh.tftpl", {
    application_name  = var.application_name
    bootstrap_servers = local.administrator_bootstrap_servers
    acl_options       = module.kafka_cluster.acl_options
  }) : null
}

output "client_idle_ms_max" {
  description = "Upper limit of connections.max.idle.ms of clients on the private path; null with multi_vpc."
  value       = local.per_broker ? module.broker_exit[0].client_idle_ms_max : null
}

output "alarm_topic_arn" {
  description = "SNS topic of every alarm: subscribe to it."
  value       = aws_sns_topic.alarms.arn
}
