# SPDX-License-Identifier: Apache-2.0

output "names" {
  description = "Table names: aggregates, checkpoints, dead_letters."
  value       = { for key, table in aws_dynamodb_table.this : key => table.name }
}

output "arns" {
  description = "Table ARNs: aggregates, checkpoints, dead_letters."
  value       = { for key, table in aws_dynamodb_table.this : key => table.arn }
}
