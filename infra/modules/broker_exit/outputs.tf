# SPDX-License-Identifier: Apache-2.0

output "services" {
  description = "Endpoint services by broker id: service_name, and zone_ids in which endpoints can be made."
  value = {
    for id, service in aws_vpc_endpoint_service.broker : id => {
      service_name = service.service_name
      zone_ids     = sort([for subnet in var.subnets : subnet.zone_id])
    }
  }

  # Whoever knows the name must already be allowed to ask for it.
  depends_on = [aws_vpc_endpoint_service_allowed_principal.broker]
}

output "target_group_arns" {
  description = "Target group of each broker by id, for module broker_addresses."
  value       = { for id, group in aws_lb_target_group.broker : id => group.arn }
}

output "client_idle_ms_max" {
  description = "Upper limit of the clients' connections.max.idle.ms: below the listeners' idle time-out."
  value       = (var.idle_timeout_seconds - 30) * 1000
}
