# SPDX-License-Identifier: Apache-2.0

output "secret_arn" {
  description = "Full ARN of the document: another account finds it by nothing less."
  value       = aws_secretsmanager_secret.connection.arn

  # Whoever knows the ARN must be able to read it, and find something in it.
  depends_on = [aws_secretsmanager_secret_policy.connection, aws_secretsmanager_secret_version.connection]
}

output "document" {
  description = "The document as it was written."
  value       = jsonencode(local.document)
}
