# SPDX-License-Identifier: Apache-2.0

output "role_arn" {
  description = "ARN of the instances' role."
  value       = aws_iam_role.sensor.arn
}

output "security_group_id" {
  description = "Security group of the instances."
  value       = aws_security_group.sensor.id
}

output "service_unit" {
  description = "The service as it is installed."
  value       = local.unit
}
