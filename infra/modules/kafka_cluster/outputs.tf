# SPDX-License-Identifier: Apache-2.0

output "cluster_arn" {
  description = "ARN of the cluster."
  value       = aws_msk_cluster.this.arn
}

output "cluster_name" {
  description = "Name of the cluster."
  value       = aws_msk_cluster.this.cluster_name
}

output "kafka_version" {
  description = "Kafka version in Amazon MSK's spelling."
  value       = aws_msk_cluster.this.kafka_version
}

output "brokers" {
  description = "Brokers by id: host (its own name), address (at the moment), zone_id."
  value = {
    for id in local.broker_ids : id => {
      host    = one(local.nodes[id].endpoints)
      address = local.nodes[id].client_vpc_ip_address
      zone_id = local.zone_ids[local.nodes[id].client_subnet]
    }
  }
}

output "managed_brokers" {
  description = "Brokers by id as consumers reach them over Amazon MSK's managed connectivity: host, port; empty without multi_vpc."
  value       = local.managed_brokers
}

output "ports" {
  description = "Port of each broker's listener by authentication: scram, iam, tls."
  value       = local.ports
}

output "security_group_id" {
  description = "Security group of the brokers; each client's module adds its own rule."
  value       = aws_security_group.brokers.id
}

output "user_secret_arns" {
  description = "Full ARN of each SCRAM user's secret, by name."
  value       = { for name, secret in aws_secretsmanager_secret.user : name => secret.arn }

  # A secret that Amazon MSK has not taken up does not log in.
  depends_on = [aws_msk_scram_secret_association.this]
}

output "topic_arns" {
  description = "ARN of each topic, by name, for policies of IAM clients."
  value       = { for name in keys(var.topics) : name => "${replace(aws_msk_cluster.this.arn, ":cluster/", ":topic/")}/${name}" }
}

output "transactional_id_arn_prefix" {
  description = "ARN of the cluster's transactional ids without the id, for policies of IAM clients."
  value       = replace(aws_msk_cluster.this.arn, ":cluster/", ":transactional-id/")
}

output "acls" {
  description = "ACLs that scram_users need for what they do, and no others: principal, operation, resource_type, resource_name."
  value       = local.acls
}

output "acl_options" {
  description = "The same as options of kafka-acls.sh --add, a line each."
  value = [
    for acl in local.acls : join(" ", [
      "--allow-principal ${acl.principal} --operation ${local.acl_operations[acl.operation]}",
      acl.resource_type == "cluster" ? "--cluster" : "--${acl.resource_type} ${acl.resource_name}",
    ])
  ]
}

output "administrator_actions" {
  description = "IAM actions of whoever creates ACLs (first data), on the cluster."
  value = [
    "kafka-cluster:AlterCluster",
    "kafka-cluster:Connect",
    "kafka-cluster:DescribeCluster",
  ]
}
