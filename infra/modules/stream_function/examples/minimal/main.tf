# SPDX-License-Identifier: Apache-2.0
# The whole path in one configuration: a cluster in aws.stream, the function and its tables in aws.

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

variable "function_package" {
  description = "Path of the function's zip."
  type        = string
}

module "path" {
  source = "../../../broker_entry/examples/minimal"

  providers = {
    aws        = aws
    aws.stream = aws.stream
  }

  name = var.name
}

module "tables" {
  source = "../../../aggregate_table"

  name                = var.name
  kms_key_arn         = module.path.kms_key_arn
  deletion_protection = false
}

ephemeral "aws_secretsmanager_secret_version" "user" {
  secret_id = module.path.stream.cluster.kafka_cluster.user_secret_arns["culvert"]
}

resource "aws_secretsmanager_secret" "user" {
  name_prefix             = "${var.name}-kafka-"
  description             = "Kafka user of ${var.name}"
  kms_key_id              = module.path.kms_key_arn
  recovery_window_in_days = 0
}

resource "aws_secretsmanager_secret_version" "user" {
  secret_id                = aws_secretsmanager_secret.user.id
  secret_string_wo         = ephemeral.aws_secretsmanager_secret_version.user.secret_string
  secret_string_wo_version = 1
}

resource "aws_security_group" "function" {
  name_prefix = "${var.name}-function-"
  description = "The function of ${var.name}"
  vpc_id      = module.path.network.vpc_id
}

module "stream_function" {
  source = "../.."

  name                       = var.name
  function_package           = var.function_package
  topic                      = "telemetry"
  consumer_group_id          = var.name
  bootstrap_servers          = module.path.broker_entry.bootstrap_servers
  credentials_secret_arn     = aws_secretsmanager_secret.user.arn
  tables                     = { for key, name in module.tables.names : key => { name = name, arn = module.tables.arns[key] } }
  subnet_ids                 = [for subnet in module.path.network.private_subnets : subnet.id]
  function_security_group_id = aws_security_group.function.id
  mapping_security_group_id  = module.path.consumer_security_group_id
  dynamodb_prefix_list_id    = module.path.network.prefix_list_ids["dynamodb"]
  kms_key_arn                = module.path.kms_key_arn

  depends_on = [aws_secretsmanager_secret_version.user]
}

output "stream_function" {
  description = "The function and its mapping."
  value       = module.stream_function
}

output "inputs" {
  description = "What another function beside it would be given."
  value = {
    bootstrap_servers         = module.path.broker_entry.bootstrap_servers
    credentials_secret_arn    = aws_secretsmanager_secret.user.arn
    tables                    = { for key, name in module.tables.names : key => { name = name, arn = module.tables.arns[key] } }
    subnet_ids                = [for subnet in module.path.network.private_subnets : subnet.id]
    security_group_id         = aws_security_group.function.id
    mapping_security_group_id = module.path.consumer_security_group_id
    prefix_list_id            = module.path.network.prefix_list_ids["dynamodb"]
    kms_key_arn               = module.path.kms_key_arn
  }
}
