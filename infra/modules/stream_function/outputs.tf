# SPDX-License-Identifier: Apache-2.0

output "function_name" {
  description = "Name of the function."
  value       = aws_lambda_function.this.function_name
}

output "function_arn" {
  description = "ARN of the function."
  value       = aws_lambda_function.this.arn
}

output "role_name" {
  description = "Name of the function's role."
  value       = aws_iam_role.function.name
}

output "mapping_uuid" {
  description = "Id of the event source mapping."
  value       = aws_lambda_event_source_mapping.kafka.uuid
}

output "last_processing_result" {
  description = "What the mapping says of its last poll; PROBLEM names a broken hop."
  value       = aws_lambda_event_source_mapping.kafka.last_processing_result
}
