# SPDX-License-Identifier: Apache-2.0
# The analytics account: the way in to another account's brokers, the function, and the tables that it fills.
#
# Flow    accounts/stream ═ private link ═> broker_entry -> stream_function -> aggregate_table.
# Owner   the analysts.
# Bounds  nothing comes in from the internet, nothing goes out to it.
# See     infra/README.md: the two applies.

provider "aws" {
  region = var.region
  # A root that is applied in the wrong account does more harm than one that is not applied.
  allowed_account_ids = var.account_id == null ? null : [var.account_id]

  default_tags {
    tags = {
      application = var.application_name
      component   = "culvert-analytics"
      managed_by  = "infra/accounts/analytics"
    }
  }
}

# The other account's hand-over, by its full ARN: a name would be looked up in this account.
data "aws_secretsmanager_secret_version" "connection" {
  secret_id = var.connection_secret_arn

  lifecycle {
    postcondition {
      condition     = try(jsondecode(self.secret_string).version, null) == 1
      error_message = "The connection document is of version ${try(nonsensitive(jsondecode(self.secret_string).version), "unknown")}; this root understands version 1. Use the infra/ of the culvert that wrote it."
    }

    postcondition {
      condition     = try(jsondecode(self.secret_string).region, null) == var.region
      error_message = "The connection document is of region ${try(nonsensitive(jsondecode(self.secret_string).region), "unknown")}, this root of ${var.region}: private links do not cross regions."
    }

    postcondition {
      condition     = try(jsondecode(self.secret_string).authentication, null) == (var.path == "endpoint_per_broker" ? "scram" : "iam")
      error_message = "The connection document says authentication ${try(nonsensitive(jsondecode(self.secret_string).authentication), "unknown")}, which does not go with path ${var.path}: both roots must say the same path."
    }
  }
}

locals {
  per_broker = var.path == "endpoint_per_broker"
  on_demand  = var.poller.mode == "on_demand"

  # Addresses, not secrets: the password is in another secret, which is never read into a state.
  connection = jsondecode(nonsensitive(data.aws_secretsmanager_secret_version.connection.secret_string))

  # A managed mapping polls from the connection's own group.
  poller_security_group_id = local.per_broker ? aws_security_group.mapping.id : aws_security_group.connection[0].id

  # Only asked with managed connectivity, where each broker names its own zone.
  cluster_zone_ids = sort(distinct(flatten([for broker in local.connection.brokers : broker.zone_ids])))
}

module "network" {
  source = "../../modules/network"

  name                      = var.application_name
  vpc_cidr_block            = var.vpc_cidr_block
  private_subnets           = var.private_subnets
  public_subnets            = var.public_subnets
  nat_gateway_public_subnet = var.nat_gateway_public_subnet
  log_retention_days        = var.log_retention_days
  logs_kms_key_arn          = aws_kms_key.analytics.arn

  # An on-demand mapping calls all three from the subnets; provisioned pollers call none of them.
  interface_endpoints = {
    for service in local.endpoint_services : service => { policy = data.aws_iam_policy_document.endpoint[service].json }
  }
  interface_endpoint_client_security_group_ids = merge(
    local.on_demand ? { mapping = local.poller_security_group_id } : {},
    local.secrets_endpoint ? var.client_security_group_ids : {},
  )
}

# ---- who may reach what: one group for the function, one for the mapping's pollers ----

resource "aws_security_group" "function" {
  #checkov:skip=CKV2_AWS_5:attached by the function of module stream_function, which is given its id
  name_prefix = "${var.application_name}-function-"
  description = "The function of ${var.application_name}: nothing comes in"
  vpc_id      = module.network.vpc_id

  tags = { Name = "${var.application_name}-function" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_security_group" "mapping" {
  #checkov:skip=CKV2_AWS_5:attached by the event source mapping, which names it in a URI
  name_prefix = "${var.application_name}-mapping-"
  description = "The pollers of ${var.application_name}: nothing comes in"
  vpc_id      = module.network.vpc_id

  tags = { Name = "${var.application_name}-mapping" }

  lifecycle {
    create_before_destroy = true
  }
}

# ---- path endpoint_per_broker ----

module "broker_entry" {
  source = "../../modules/broker_entry"
  count  = local.per_broker ? 1 : 0

  name                      = var.application_name
  vpc_id                    = module.network.vpc_id
  subnets                   = module.network.private_subnets
  brokers                   = local.connection.brokers
  client_security_group_ids = merge(var.client_security_group_ids, { mapping = aws_security_group.mapping.id })
}

# The mapping reads its user from a secret of its own account. The password goes from secret to secret and is in no
# state and no plan on the way.
ephemeral "aws_secretsmanager_secret_version" "credentials" {
  count = local.per_broker ? 1 : 0

  secret_id = var.credentials_secret_arn
}

resource "aws_secretsmanager_secret" "credentials" {
  #checkov:skip=CKV2_AWS_57:follows the stream account's secret, which is rotated by raising credentials_version
  count = local.per_broker ? 1 : 0

  name_prefix             = "${var.application_name}-kafka-"
  description             = "Kafka user of ${var.application_name}, a copy of the stream account's"
  kms_key_id              = aws_kms_key.analytics.arn
  recovery_window_in_days = var.recovery_window_in_days
}

resource "aws_secretsmanager_secret_version" "credentials" {
  count = local.per_broker ? 1 : 0

  secret_id                = aws_secretsmanager_secret.credentials[0].id
  secret_string_wo         = ephemeral.aws_secretsmanager_secret_version.credentials[0].secret_string
  secret_string_wo_version = var.credentials_version
}

# ---- path multi_vpc ----

resource "aws_security_group" "connection" {
  count = local.per_broker ? 0 : 1

  name_prefix = "${var.application_name}-connection-"
  description = "Managed connection to the brokers: the pollers use it, too"
  vpc_id      = module.network.vpc_id

  tags = { Name = "${var.application_name}-connection" }

  lifecycle {
    create_before_destroy = true
  }
}

# Amazon MSK's managed connections listen on this range; a mapping polls from the connection's own group.
resource "aws_vpc_security_group_ingress_rule" "connection" {
  count = local.per_broker ? 0 : 1

  security_group_id            = aws_security_group.connection[0].id
  description                  = "Brokers, from the pollers"
  referenced_security_group_id = aws_security_group.connection[0].id
  ip_protocol                  = "tcp"
  from_port                    = 14001
  to_port                      = 14100
}

resource "aws_vpc_security_group_egress_rule" "connection" {
  count = local.per_broker ? 0 : 1

  security_group_id            = aws_security_group.connection[0].id
  description                  = "Pollers, to the brokers"
  referenced_security_group_id = aws_security_group.connection[0].id
  ip_protocol                  = "tcp"
  from_port                    = 14001
  to_port                      = 14100
}

resource "aws_vpc_security_group_ingress_rule" "connection_client" {
  for_each = local.per_broker ? {} : var.client_security_group_ids

  security_group_id            = aws_security_group.connection[0].id
  description                  = "Consumer ${each.key}"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 14001
  to_port                      = 14100
}

resource "aws_vpc_security_group_egress_rule" "connection_client" {
  for_each = local.per_broker ? {} : var.client_security_group_ids

  security_group_id            = each.value
  description                  = "To the managed connection"
  referenced_security_group_id = aws_security_group.connection[0].id
  ip_protocol                  = "tcp"
  from_port                    = 14001
  to_port                      = 14100
}

resource "aws_msk_vpc_connection" "cluster" {
  count = local.per_broker ? 0 : 1

  authentication     = "SASL_IAM"
  target_cluster_arn = local.connection.cluster
  vpc_id             = module.network.vpc_id
  client_subnets     = [for subnet in module.network.private_subnets : subnet.id if contains(local.cluster_zone_ids, subnet.zone_id)]
  security_groups    = [aws_security_group.connection[0].id]

  lifecycle {
    precondition {
      condition     = length(setsubtract(local.cluster_zone_ids, [for subnet in module.network.private_subnets : subnet.zone_id])) == 0
      error_message = "A managed connection needs a private subnet in each zone of the cluster (${join(", ", local.cluster_zone_ids)}); private_subnets are in ${join(", ", [for subnet in module.network.private_subnets : subnet.zone_id])}."
    }
  }
}

# ---- tables and function ----

module "aggregate_table" {
  source = "../../modules/aggregate_table"

  name                = var.application_name
  device_id_type      = var.device_id_type
  kms_key_arn         = aws_kms_key.analytics.arn
  deletion_protection = var.deletion_protection
  alarm_topic_arns    = [aws_sns_topic.alarms.arn]
}

# The mapping reads the secret, and an on-demand one calls through the endpoints, as soon as it is there: what it is given
# comes from what must be there before. Said by depends_on, each change of those would seem to change its policies, too.
module "stream_function" {
  source = "../../modules/stream_function"

  name                       = var.application_name
  function_package           = var.function_package
  architecture               = var.function_architecture
  memory_mib                 = var.memory_mib
  reserved_concurrency       = var.reserved_concurrency
  lag_records_max            = var.lag_records_max
  topic                      = var.topic
  consumer_group_id          = coalesce(var.consumer_group_id, "culvert-${var.application_name}")
  bootstrap_servers          = local.per_broker ? module.broker_entry[0].bootstrap_servers : null
  credentials_secret_arn     = local.per_broker ? aws_secretsmanager_secret_version.credentials[0].arn : null
  source_arn                 = local.per_broker ? null : aws_msk_vpc_connection.cluster[0].arn
  cluster_arn                = local.per_broker ? null : local.connection.cluster
  batch_size                 = var.batch_size
  batching_window_seconds    = var.batching_window_seconds
  poller                     = var.poller
  on_failure                 = var.on_failure
  tables                     = { for key, name in module.aggregate_table.names : key => { name = name, arn = module.aggregate_table.arns[key] } }
  window                     = var.window
  generation                 = var.generation
  subnet_ids                 = module.network.private_subnet_ids
  function_security_group_id = aws_security_group.function.id
  mapping_security_group_id  = aws_security_group.mapping.id
  dynamodb_prefix_list_id    = module.network.prefix_list_ids["dynamodb"]
  kms_key_arn                = aws_kms_key.analytics.arn
  log_level                  = var.log_level
  log_retention_days         = var.log_retention_days
  alarm_topic_arns           = [aws_sns_topic_policy.alarms.arn]
}
