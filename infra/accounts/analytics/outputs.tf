# SPDX-License-Identifier: Apache-2.0

output "accepted_endpoints" {
  description = "For the stream root's second apply: its input of this name gets this under the consumer's name; empty with multi_vpc."
  value       = local.per_broker ? module.broker_entry[0].endpoint_ids : {}
}

output "endpoint_states" {
  description = "State of each endpoint by broker id: pendingAcceptance until the stream account accepts it, then available."
  value       = local.per_broker ? module.broker_entry[0].states : {}
}

output "network" {
  description = "Where a long-running consumer can be: VPC, private subnets by name, and the address list of DynamoDB for its egress rule."
  value = {
    vpc_id                  = module.network.vpc_id
    subnet_ids              = { for name, subnet in module.network.private_subnets : name => subnet.id }
    dynamodb_prefix_list_id = module.network.prefix_list_ids["dynamodb"]
  }
}

output "client_policy" {
  description = "IAM policy of the role of a long-running consumer (culvert consume): everything that it calls, and nothing else."
  value       = data.aws_iam_policy_document.client.json
}

output "tables" {
  description = "Names of the tables: aggregates, checkpoints, dead_letters."
  value       = module.aggregate_table.names
}

output "function_name" {
  description = "Name of the function."
  value       = module.stream_function.function_name
}

output "last_processing_result" {
  description = "What the mapping says of its last poll; PROBLEM names a broken hop."
  value       = module.stream_function.last_processing_result
}

output "alarm_topic_arn" {
  description = "SNS topic of every alarm: subscribe to it."
  value       = aws_sns_topic.alarms.arn
}
