# SPDX-License-Identifier: Apache-2.0

output "endpoint_ids" {
  description = "Endpoints by broker id: what the stream root's accepted_endpoints wants."
  value       = { for id, endpoint in aws_vpc_endpoint.broker : id => endpoint.id }
}

output "bootstrap_servers" {
  description = "host:port of every broker, ordered by id."
  value       = join(",", [for id in sort([for id in keys(var.brokers) : format("%03d", tonumber(id))]) : "${var.brokers[tostring(tonumber(id))].host}:${var.brokers[tostring(tonumber(id))].port}"])

  # Whoever uses the names needs them to resolve.
  depends_on = [aws_route53_record.broker]
}

output "security_group_id" {
  description = "Security group of the endpoints."
  value       = aws_security_group.entry.id
}

output "states" {
  description = "State of each endpoint by broker id: pendingAcceptance until the stream account accepts it, then available."
  value       = { for id, endpoint in aws_vpc_endpoint.broker : id => endpoint.state }
}
