# SPDX-License-Identifier: Apache-2.0
# The stream account: the cluster, its sensors, and the way out for other accounts.
#
# Flow    sensor_fleet -> kafka_cluster -> broker_exit ═ private link ═> accounts/analytics.
# Owner   the platform team.
# Bounds  nothing comes in from the internet, nothing goes out to it.
# See     infra/README.md: the two applies.

provider "aws" {
  region = var.region
  # A root that is applied in the wrong account does more harm than one that is not applied.
  allowed_account_ids = var.account_id == null ? null : [var.account_id]

  default_tags {
    tags = local.tags
  }
}

locals {
  tags = {
    application = var.application_name
    component   = "culvert-stream"
    managed_by  = "infra/accounts/stream"
  }

  per_broker    = var.path == "endpoint_per_broker"
  instance_type = coalesce(var.broker_instance_type, local.per_broker ? "kafka.t3.small" : "kafka.m7g.large")
  # What consumers connect to: a self-managed event source cannot use IAM, the managed one does.
  authentication = local.per_broker ? "scram" : "iam"
  consumer_port  = module.kafka_cluster.ports.scram
  consumer_user  = "culvert"
  consumer = {
    reader_principal_arns = var.allowed_service_principal_arns
    consume_topics        = [var.topic]
    consumer_groups       = coalesce(var.consumer_group_ids, ["culvert-${var.application_name}"])
    event_source_mapping  = true
  }
}

module "network" {
  source = "../../modules/network"

  name               = var.application_name
  vpc_cidr_block     = var.vpc_cidr_block
  private_subnets    = var.private_subnets
  log_retention_days = var.log_retention_days
  logs_kms_key_arn   = aws_kms_key.stream.arn
}

module "kafka_cluster" {
  source = "../../modules/kafka_cluster"

  name                    = var.application_name
  vpc_id                  = module.network.vpc_id
  subnets                 = module.network.private_subnets
  kafka_version           = var.kafka_version
  broker_count            = var.broker_count
  instance_type           = local.instance_type
  storage_gib             = var.broker_storage_gib
  retention_hours         = var.retention_hours
  topics                  = { (var.topic) = { partition_count = var.partition_count } }
  scram_users             = local.per_broker ? { (local.consumer_user) = local.consumer } : {}
  credentials_version     = var.credentials_version
  multi_vpc               = !local.per_broker
  client_principal_arns   = var.allowed_service_principal_arns
  kms_key_arn             = aws_kms_key.stream.arn
  recovery_window_in_days = var.recovery_window_in_days
  log_retention_days      = var.log_retention_days
  alarm_topic_arns        = [aws_sns_topic.alarms.arn]
}

# Whoever makes ACLs comes from a group of his own; without one, nobody but the sensors and the brokers gets this far.
resource "aws_vpc_security_group_ingress_rule" "administrator" {
  for_each = var.administrator_security_group_ids

  security_group_id            = module.kafka_cluster.security_group_id
  description                  = "From an administrator"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = module.kafka_cluster.ports.iam
  to_port                      = module.kafka_cluster.ports.iam
}

module "broker_exit" {
  source = "../../modules/broker_exit"
  count  = local.per_broker ? 1 : 0

  name                     = var.application_name
  vpc_id                   = module.network.vpc_id
  subnets                  = module.network.private_subnets
  brokers                  = module.kafka_cluster.brokers
  port                     = local.consumer_port
  broker_security_group_id = module.kafka_cluster.security_group_id
  allowed_principal_arns   = var.allowed_service_principal_arns
  accepted_endpoints       = var.accepted_endpoints
  idle_timeout_seconds     = var.idle_timeout_seconds
  deletion_protection      = var.deletion_protection
  alarm_topic_arns         = [aws_sns_topic.alarms.arn]
}

module "broker_addresses" {
  source = "../../modules/broker_addresses"
  count  = local.per_broker ? 1 : 0

  name               = var.application_name
  function_package   = var.function_package
  architecture       = var.function_architecture
  cluster_arn        = module.kafka_cluster.cluster_arn
  port               = local.consumer_port
  kms_key_arn        = aws_kms_key.stream.arn
  log_retention_days = var.log_retention_days
  alarm_topic_arns   = [aws_sns_topic.alarms.arn]

  brokers = {
    for id, arn in module.broker_exit[0].target_group_arns : id => {
      host             = module.kafka_cluster.brokers[id].host
      target_group_arn = arn
    }
  }
}

module "connection_secret" {
  source = "../../modules/connection_secret"

  name                    = var.application_name
  cluster_arn             = module.kafka_cluster.cluster_arn
  kafka_version           = module.kafka_cluster.kafka_version
  authentication          = local.authentication
  client_idle_ms_max      = local.per_broker ? module.broker_exit[0].client_idle_ms_max : null
  reader_principal_arns   = var.allowed_service_principal_arns
  recovery_window_in_days = var.recovery_window_in_days

  brokers = {
    for id, broker in module.kafka_cluster.brokers : id => {
      host         = local.per_broker ? broker.host : module.kafka_cluster.managed_brokers[id].host
      port         = local.per_broker ? local.consumer_port : module.kafka_cluster.managed_brokers[id].port
      service_name = local.per_broker ? module.broker_exit[0].services[id].service_name : null
      zone_ids     = local.per_broker ? module.broker_exit[0].services[id].zone_ids : [broker.zone_id]
    }
  }
}

module "sensor_fleet" {
  source = "../../modules/sensor_fleet"
  count  = var.sensors.instance_count > 0 ? 1 : 0

  name                     = var.application_name
  vpc_id                   = module.network.vpc_id
  subnet_ids               = [for subnet in module.network.private_subnets : subnet.id]
  instance_count           = var.sensors.instance_count
  instance_type            = var.sensors.instance_type
  architecture             = var.sensors.architecture
  image_id                 = var.sensors.image_id
  devices                  = var.sensors.devices
  records_per_second       = var.sensors.records_per_second
  program_package          = var.program_package
  cluster_arn              = module.kafka_cluster.cluster_arn
  cluster_name             = module.kafka_cluster.cluster_name
  topic                    = var.topic
  topic_arn                = module.kafka_cluster.topic_arns[var.topic]
  bootstrap_servers        = local.administrator_bootstrap_servers
  port                     = module.kafka_cluster.ports.iam
  broker_security_group_id = module.kafka_cluster.security_group_id
  s3_prefix_list_id        = module.network.prefix_list_ids["s3"]
  kms_key_arn              = aws_kms_key.stream.arn
  tags                     = local.tags
  alarm_topic_arns         = [aws_sns_topic.alarms.arn]
}
