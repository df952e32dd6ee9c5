# SPDX-License-Identifier: Apache-2.0
# The Kafka cluster: one broker or more per zone, TLS only, every client authenticated, closed unless an ACL opens it.
#
# Flow    accounts/stream -> [kafka_cluster] -> broker_exit, sensor_fleet, connection_secret, broker_addresses.
# Owner   the stream account.
# Bounds  no unauthenticated listener, no topic made by accident, no user without a password of its own.
# See     docs/security.md; infra/README.md: "First data" (ACLs are made once, by an administrator).

locals {
  # Brokers are known by id, 1 to N.  Never by their place in the bootstrap string, which lists one name per zone, in
  # varying order.
  broker_ids = [for id in range(1, var.broker_count + 1) : tostring(id)]

  ports = { scram = 9096, iam = 9098, tls = 9094 }

  # A copy in each zone, and one of them may be missing: with two zones a required second copy would stop every writer
  # whenever Amazon MSK restarts a broker.
  copies = length(var.subnets)

  server_properties = merge({
    "allow.everyone.if.no.acl.found" = "false"
    "auto.create.topics.enable"      = "false"
    "default.replication.factor"     = tostring(local.copies)
    "delete.topic.enable"            = "true"
    "log.retention.hours"            = tostring(var.retention_hours)
    "min.insync.replicas"            = tostring(local.copies - 1)
    "unclean.leader.election.enable" = "false"
  }, var.server_properties)

  # Managed connectivity gives each broker one more name and a port of its own: b-2.iam.<rest>:14002. They are worked out
  # of the broker's id, since the cluster's own list names one broker per zone; the check below compares the two.
  managed_brokers = {
    for id in var.multi_vpc ? local.broker_ids : [] : id => {
      host = replace(one(local.nodes[id].endpoints), "/^b-([0-9]+)[.]/", "b-$1.iam.")
      port = 14000 + tonumber(id)
    }
  }

  nodes = { for node in data.aws_msk_broker_nodes.this.node_info_list : tostring(node.broker_id) => node }

  zone_ids = { for subnet in var.subnets : subnet.id => subnet.zone_id }
}

resource "aws_security_group" "brokers" {
  name_prefix = "${var.name}-brokers-"
  description = "Kafka brokers of ${var.name}: the module of each client adds a rule"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-brokers" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "between_brokers" {
  security_group_id            = aws_security_group.brokers.id
  description                  = "Brokers among themselves"
  referenced_security_group_id = aws_security_group.brokers.id
  ip_protocol                  = "tcp"
  from_port                    = 9092
  to_port                      = 9098
}

resource "aws_vpc_security_group_egress_rule" "between_brokers" {
  security_group_id            = aws_security_group.brokers.id
  description                  = "Brokers among themselves"
  referenced_security_group_id = aws_security_group.brokers.id
  ip_protocol                  = "tcp"
  from_port                    = 9092
  to_port                      = 9098
}

resource "aws_msk_configuration" "this" {
  name              = "${var.name}-${substr(sha256(join(",", [for key, setting in local.server_properties : "${key}=${setting}"])), 0, 8)}"
  description       = "Server properties of ${var.name}"
  server_properties = join("\n", [for key, setting in local.server_properties : "${key} = ${setting}"])

  lifecycle {
    # A cluster holds on to its configuration: the new one must be there before the old one goes.
    create_before_destroy = true
  }
}

resource "aws_cloudwatch_log_group" "brokers" {
  #checkov:skip=CKV_AWS_338:retention is an input; 30 days is the default of the system that culvert replaces
  name_prefix       = "/${var.name}/kafka/brokers-"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_msk_cluster" "this" {
  cluster_name           = var.name
  kafka_version          = var.kafka_version
  number_of_broker_nodes = var.broker_count
  enhanced_monitoring    = "DEFAULT" # free, and has every metric that an alarm here watches; the other levels are paid by metric

  broker_node_group_info {
    instance_type   = var.instance_type
    client_subnets  = [for subnet in var.subnets : subnet.id]
    security_groups = [aws_security_group.brokers.id]

    storage_info {
      ebs_storage_info {
        volume_size = var.storage_gib
      }
    }

    dynamic "connectivity_info" {
      for_each = var.multi_vpc ? [true] : []

      content {
        vpc_connectivity {
          client_authentication {
            sasl {
              iam = true
            }
          }
        }
      }
    }
  }

  client_authentication {
    unauthenticated = false

    sasl {
      scram = true
      iam   = true
    }
  }

  configuration_info {
    arn      = aws_msk_configuration.this.arn
    revision = aws_msk_configuration.this.latest_revision
  }

  encryption_info {
    encryption_at_rest_kms_key_arn = var.kms_key_arn

    encryption_in_transit {
      client_broker = "TLS"
      in_cluster    = true
    }
  }

  logging_info {
    broker_logs {
      cloudwatch_logs {
        enabled   = true
        log_group = aws_cloudwatch_log_group.brokers.name
      }
    }
  }

  tags = { Name = var.name }

  lifecycle {
    precondition {
      condition     = var.broker_count % length(var.subnets) == 0
      error_message = "broker_count (${var.broker_count}) must be a multiple of the number of subnets (${length(var.subnets)}): each zone gets as many brokers."
    }

    precondition {
      condition     = !(var.multi_vpc && var.instance_type == "kafka.t3.small")
      error_message = "Multi-VPC connectivity is not available for kafka.t3.small: choose kafka.m7g.large or above, or path endpoint_per_broker."
    }
  }
}

# Read after every change of the cluster: a new broker must have its address before anything refers to it.
data "aws_msk_broker_nodes" "this" {
  cluster_arn = aws_msk_cluster.this.arn

  depends_on = [aws_msk_cluster.this]
}

check "names_of_managed_connections" {
  assert {
    condition = !var.multi_vpc ? true : alltrue([
      for server in split(",", coalesce(aws_msk_cluster.this.bootstrap_brokers_vpc_connectivity_sasl_iam, "none")) :
      contains([for broker in local.managed_brokers : "${broker.host}:${broker.port}"], server)
    ])
    error_message = "Amazon MSK names the brokers of managed connections otherwise than expected (${coalesce(aws_msk_cluster.this.bootstrap_brokers_vpc_connectivity_sasl_iam, "none")}): long-running consumers must be told these names by --bootstrap-server."
  }
}

resource "aws_msk_topic" "this" {
  for_each = var.topics

  cluster_arn        = aws_msk_cluster.this.arn
  name               = each.key
  partition_count    = each.value.partition_count
  replication_factor = local.copies
}

# ---- users by SCRAM ----

# Amazon MSK takes users only from secrets that are named AmazonMSK_* and have a customer managed key.
data "aws_caller_identity" "this" {}

data "aws_region" "this" {}

data "aws_iam_policy_document" "users_key" {
  #checkov:skip=CKV_AWS_109:a key policy's resource is the key itself, and its owner must be able to administer it
  #checkov:skip=CKV_AWS_111:a key policy's resource is the key itself
  #checkov:skip=CKV_AWS_356:a key policy's resource is the key itself
  statement {
    sid       = "Administration"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::${data.aws_caller_identity.this.account_id}:root"]
    }
  }

  dynamic "statement" {
    for_each = length(local.reader_principal_arns) > 0 ? [true] : []

    content {
      sid       = "ReadUsersFromOtherAccounts"
      actions   = ["kms:Decrypt"]
      resources = ["*"]

      principals {
        type        = "AWS"
        identifiers = local.reader_principal_arns
      }

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["secretsmanager.${data.aws_region.this.region}.amazonaws.com"]
      }
    }
  }
}

locals {
  reader_principal_arns = sort(distinct(flatten([for user in var.scram_users : tolist(user.reader_principal_arns)])))
}

resource "aws_kms_key" "users" {
  description             = "Kafka users of ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = var.recovery_window_in_days == 0 ? 7 : max(7, var.recovery_window_in_days)
  policy                  = data.aws_iam_policy_document.users_key.json
}

ephemeral "aws_secretsmanager_random_password" "user" {
  for_each = var.scram_users

  password_length     = 40
  exclude_punctuation = true
}

resource "aws_secretsmanager_secret" "user" {
  #checkov:skip=CKV2_AWS_57:rotated by raising credentials_version, since the consumer's copy must follow; see infra/README.md
  for_each = var.scram_users

  # With a prefix the name is new each time: destroy and apply work inside a recovery window.
  name_prefix             = "AmazonMSK_${var.name}_${each.key}_"
  description             = "Kafka user ${each.key} of ${var.name}"
  kms_key_id              = aws_kms_key.users.arn
  recovery_window_in_days = var.recovery_window_in_days
}

resource "aws_secretsmanager_secret_version" "user" {
  for_each = var.scram_users

  secret_id = aws_secretsmanager_secret.user[each.key].id
  secret_string_wo = jsonencode({
    username = each.key
    password = ephemeral.aws_secretsmanager_random_password.user[each.key].random_password
  })
  secret_string_wo_version = var.credentials_version
}

data "aws_iam_policy_document" "user" {
  for_each = var.scram_users

  statement {
    sid       = "AmazonMSK"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [aws_secretsmanager_secret.user[each.key].arn]

    principals {
      type        = "Service"
      identifiers = ["kafka.amazonaws.com"]
    }
  }

  dynamic "statement" {
    for_each = length(each.value.reader_principal_arns) > 0 ? [true] : []

    content {
      sid       = "ReadFromOtherAccounts"
      actions   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
      resources = [aws_secretsmanager_secret.user[each.key].arn]

      principals {
        type        = "AWS"
        identifiers = each.value.reader_principal_arns
      }
    }
  }
}

resource "aws_secretsmanager_secret_policy" "user" {
  for_each = var.scram_users

  secret_arn          = aws_secretsmanager_secret.user[each.key].arn
  policy              = data.aws_iam_policy_document.user[each.key].json
  block_public_policy = true
}

resource "aws_msk_scram_secret_association" "this" {
  count = length(var.scram_users) > 0 ? 1 : 0

  cluster_arn     = aws_msk_cluster.this.arn
  secret_arn_list = [for secret in aws_secretsmanager_secret.user : secret.arn]

  depends_on = [aws_secretsmanager_secret_policy.user, aws_secretsmanager_secret_version.user]
}

# ---- what they may do ----

# ACLs are Kafka's own and nobody makes them through AWS: these are for an administrator. READ and WRITE include DESCRIBE,
# and whoever may WRITE to a topic may do so idempotently.
locals {
  acls = flatten([
    for user, does in var.scram_users : [
      for acl in concat(
        [for topic in sort(does.consume_topics) : { operation = "READ", resource_type = "topic", resource_name = topic }],
        [for group in sort(does.consumer_groups) : { operation = "READ", resource_type = "group", resource_name = group }],
        [for topic in sort(does.produce_topics) : { operation = "WRITE", resource_type = "topic", resource_name = topic }],
        # Lambda's pollers ask for the brokers' settings, and poll nothing without an answer.
        does.event_source_mapping ? [{ operation = "DESCRIBE_CONFIGS", resource_type = "cluster", resource_name = "kafka-cluster" }] : [],
      ) : merge(acl, { principal = "User:${user}" })
    ]
  ])

  acl_operations = { READ = "Read", WRITE = "Write", DESCRIBE_CONFIGS = "DescribeConfigs" }
}

# ---- the managed way to other accounts ----

data "aws_iam_policy_document" "cluster" {
  count = var.multi_vpc ? 1 : 0

  statement {
    sid = "ConnectFromOtherAccounts"
    actions = [
      "kafka:CreateVpcConnection",
      "kafka:DescribeCluster",
      "kafka:DescribeClusterV2",
      "kafka:GetBootstrapBrokers",
    ]
    resources = [aws_msk_cluster.this.arn]

    principals {
      type        = "AWS"
      identifiers = var.client_principal_arns
    }
  }

  statement {
    sid = "ReadTopicsFromOtherAccounts"
    actions = [
      "kafka-cluster:AlterGroup",
      "kafka-cluster:Connect",
      "kafka-cluster:DescribeClusterDynamicConfiguration",
      "kafka-cluster:DescribeGroup",
      "kafka-cluster:DescribeTopic",
      "kafka-cluster:ReadData",
    ]
    resources = concat(
      [aws_msk_cluster.this.arn, "${replace(aws_msk_cluster.this.arn, ":cluster/", ":group/")}/*"],
      [for topic in keys(var.topics) : "${replace(aws_msk_cluster.this.arn, ":cluster/", ":topic/")}/${topic}"],
    )

    principals {
      type        = "AWS"
      identifiers = var.client_principal_arns
    }
  }
}

resource "aws_msk_cluster_policy" "this" {
  count = var.multi_vpc ? 1 : 0

  cluster_arn = aws_msk_cluster.this.arn
  policy      = data.aws_iam_policy_document.cluster[0].json
}

# ---- alarms ----

resource "aws_cloudwatch_metric_alarm" "offline_partitions" {
  alarm_name          = "${var.name}-kafka-offline-partitions"
  alarm_description   = "Partitions without a leader: nothing can be written to or read from them."
  namespace           = "AWS/Kafka"
  metric_name         = "OfflinePartitionsCount"
  dimensions          = { "Cluster Name" = aws_msk_cluster.this.cluster_name }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 60
  evaluation_periods  = 3
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
}

resource "aws_cloudwatch_metric_alarm" "writes_refused" {
  alarm_name          = "${var.name}-kafka-writes-refused"
  alarm_description   = "Partitions have fewer copies in step than an acknowledged write takes: whoever writes to them is refused, readers go on."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 3
  treat_missing_data  = "notBreaching" # the alarm on offline partitions tells when nothing is measured
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns

  metric_query {
    id          = "partitions"
    label       = "Partitions that refuse writes"
    period      = 60
    return_data = true
    expression  = "SELECT MAX(UnderMinIsrPartitionCount) FROM SCHEMA(\"AWS/Kafka\", \"Broker ID\", \"Cluster Name\") WHERE \"Cluster Name\" = '${aws_msk_cluster.this.cluster_name}'"
  }
}

resource "aws_cloudwatch_metric_alarm" "disk" {
  for_each = toset(local.broker_ids)

  alarm_name          = "${var.name}-kafka-disk-broker-${each.key}"
  alarm_description   = "Broker ${each.key} has used 85 % of its disk: raise storage_gib or lower retention_hours."
  namespace           = "AWS/Kafka"
  metric_name         = "KafkaDataLogsDiskUsed"
  dimensions          = { "Cluster Name" = aws_msk_cluster.this.cluster_name, "Broker ID" = each.key }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 85
  period              = 300
  evaluation_periods  = 2
  treat_missing_data  = "missing"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
}
