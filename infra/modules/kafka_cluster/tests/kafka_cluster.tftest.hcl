# SPDX-License-Identifier: Apache-2.0

provider "aws" {
  region              = "eu-central-1"
  allowed_account_ids = ["111111111111"]
}

run "example" {
  module {
    source = "./examples/minimal"
  }

  assert {
    condition     = length(output.kafka_cluster.brokers) == 3 && length(distinct([for b in output.kafka_cluster.brokers : b.zone_id])) == 3
    error_message = "Three brokers must be in three zones."
  }

  assert {
    condition     = alltrue([for id, b in output.kafka_cluster.brokers : startswith(b.host, "b-${id}.")])
    error_message = "Each broker must be known by its own id."
  }
}

# OpenTofu keeps what the last run of a module has printed: later runs name this one.
run "more_brokers_than_zones" {
  module {
    source = "./examples/minimal"
  }

  variables {
    broker_count = 6
  }

  assert {
    condition     = length(output.kafka_cluster.brokers) == 6 && alltrue([for id, b in output.kafka_cluster.brokers : startswith(b.host, "b-${id}.") && b.address != null])
    error_message = "Six brokers in three zones must all be known by id (the bootstrap string lists three of them)."
  }
}

run "closed_and_encrypted" {
  variables {
    name                    = "closed"
    vpc_id                  = run.more_brokers_than_zones.network.vpc_id
    subnets                 = run.more_brokers_than_zones.subnets
    kms_key_arn             = run.more_brokers_than_zones.kms_key_arn
    topics                  = { telemetry = { partition_count = 6 } }
    recovery_window_in_days = 7
    scram_users = {
      culvert = {
        reader_principal_arns = ["arn:aws:iam::222222222222:root"]
        consume_topics        = ["telemetry"]
        consumer_groups       = ["windows", "archive"]
        event_source_mapping  = true
      }
      gateway = { produce_topics = ["telemetry"] }
    }
  }

  assert {
    condition = output.acl_options == [
      "--allow-principal User:culvert --operation Read --topic telemetry",
      "--allow-principal User:culvert --operation Read --group archive",
      "--allow-principal User:culvert --operation Read --group windows",
      "--allow-principal User:culvert --operation DescribeConfigs --cluster",
      "--allow-principal User:gateway --operation Write --topic telemetry",
    ]
    error_message = "Each user must get exactly the ACLs that it needs for what it does: an event source mapping also asks for the brokers' settings."
  }

  assert {
    condition     = alltrue([for acl in output.acls : acl.resource_name != "*"])
    error_message = "No ACL may be for every topic or group."
  }

  assert {
    condition = alltrue([
      aws_msk_cluster.this.client_authentication[0].unauthenticated == false,
      aws_msk_cluster.this.client_authentication[0].sasl[0].scram,
      aws_msk_cluster.this.client_authentication[0].sasl[0].iam,
    ])
    error_message = "Every client must authenticate."
  }

  assert {
    condition = alltrue([
      aws_msk_cluster.this.encryption_info[0].encryption_in_transit[0].client_broker == "TLS",
      aws_msk_cluster.this.encryption_info[0].encryption_in_transit[0].in_cluster,
      aws_msk_cluster.this.encryption_info[0].encryption_at_rest_kms_key_arn == var.kms_key_arn,
    ])
    error_message = "Everything must be encrypted, on the wire and at rest."
  }

  assert {
    condition     = strcontains(aws_msk_configuration.this.server_properties, "allow.everyone.if.no.acl.found = false")
    error_message = "A topic without an ACL must be closed."
  }

  assert {
    condition     = strcontains(aws_msk_configuration.this.server_properties, "auto.create.topics.enable = false")
    error_message = "A misspelt topic must not come into being."
  }

  assert {
    condition     = strcontains(aws_msk_configuration.this.server_properties, "unclean.leader.election.enable = false") && strcontains(aws_msk_configuration.this.server_properties, "min.insync.replicas = 2")
    error_message = "Acknowledged records must survive the loss of a broker."
  }

  assert {
    condition     = alltrue([for s in aws_secretsmanager_secret.user : startswith(s.name, "AmazonMSK_") && s.kms_key_id == aws_kms_key.users.arn && s.recovery_window_in_days == 7])
    error_message = "User secrets must be named AmazonMSK_* and have their own key."
  }

  assert {
    condition     = alltrue([for v in aws_secretsmanager_secret_version.user : v.has_secret_string_wo && v.secret_string == null])
    error_message = "No password may be in the state."
  }

  assert {
    condition     = aws_kms_key.users.enable_key_rotation
    error_message = "Keys must rotate."
  }

  assert {
    condition = anytrue([
      for s in jsondecode(aws_kms_key.users.policy).Statement :
      s.Sid == "ReadUsersFromOtherAccounts" && s.Action == "kms:Decrypt" && s.Principal.AWS == "arn:aws:iam::222222222222:root"
      if s.Sid != "Administration"
    ])
    error_message = "The key policy must let the reader decrypt."
  }

  assert {
    condition     = aws_cloudwatch_log_group.brokers.retention_in_days == 30 && aws_cloudwatch_log_group.brokers.kms_key_id == var.kms_key_arn
    error_message = "Broker logs must be kept 30 days and encrypted."
  }

  assert {
    condition     = aws_msk_cluster.this.enhanced_monitoring == "DEFAULT"
    error_message = "No metric may be paid for that no alarm watches: the levels above DEFAULT cost by the metric, broker and topic."
  }

  assert {
    condition     = strcontains(tolist(aws_cloudwatch_metric_alarm.writes_refused.metric_query)[0].expression, "MAX(UnderMinIsrPartitionCount) FROM SCHEMA(\"AWS/Kafka\", \"Broker ID\", \"Cluster Name\")")
    error_message = "Refused writes must be told from what Amazon MSK counts for each broker."
  }

  assert {
    condition     = length(aws_msk_cluster_policy.this) == 0
    error_message = "Nobody from outside may connect to the cluster unless multi_vpc is on."
  }
}

run "users_of_nothing_or_of_everything_are_refused" {
  command = plan

  variables {
    name        = "refused"
    vpc_id      = run.more_brokers_than_zones.network.vpc_id
    subnets     = run.more_brokers_than_zones.subnets
    kms_key_arn = run.more_brokers_than_zones.kms_key_arn
    topics      = { telemetry = { partition_count = 6 } }
    scram_users = { culvert = { consume_topics = ["telemetri"], consumer_groups = ["*"] } }
  }

  expect_failures = [var.scram_users]
}

run "multi_vpc" {
  variables {
    name                  = "multi"
    vpc_id                = run.more_brokers_than_zones.network.vpc_id
    subnets               = run.more_brokers_than_zones.subnets
    kms_key_arn           = run.more_brokers_than_zones.kms_key_arn
    instance_type         = "kafka.m7g.large"
    multi_vpc             = true
    client_principal_arns = ["arn:aws:iam::222222222222:root"]
    topics                = { telemetry = { partition_count = 6 } }
  }

  assert {
    condition     = aws_msk_cluster.this.broker_node_group_info[0].connectivity_info[0].vpc_connectivity[0].client_authentication[0].sasl[0].iam
    error_message = "Multi-VPC connectivity must be on, with IAM."
  }

  assert {
    condition     = output.managed_brokers["2"] == { host = replace(output.brokers["2"].host, "b-2.", "b-2.iam."), port = 14002 } && length(output.managed_brokers) == 3
    error_message = "Every broker must be known by its name and port on managed connections."
  }

  assert {
    condition = alltrue([
      for s in jsondecode(aws_msk_cluster_policy.this[0].policy).Statement : s.Principal.AWS == "arn:aws:iam::222222222222:root"
    ])
    error_message = "The cluster policy must name the client alone."
  }
}

run "small_brokers_and_multi_vpc_are_refused" {
  command = plan

  variables {
    name                  = "small"
    vpc_id                = run.more_brokers_than_zones.network.vpc_id
    subnets               = run.more_brokers_than_zones.subnets
    kms_key_arn           = run.more_brokers_than_zones.kms_key_arn
    multi_vpc             = true
    client_principal_arns = ["arn:aws:iam::222222222222:root"]
  }

  expect_failures = [aws_msk_cluster.this]
}

run "uneven_brokers_are_refused" {
  command = plan

  variables {
    name         = "uneven"
    vpc_id       = run.more_brokers_than_zones.network.vpc_id
    subnets      = run.more_brokers_than_zones.subnets
    kms_key_arn  = run.more_brokers_than_zones.kms_key_arn
    broker_count = 4
  }

  expect_failures = [aws_msk_cluster.this]
}

run "unsupported_kafka_is_refused" {
  command = plan

  variables {
    name          = "old"
    vpc_id        = run.more_brokers_than_zones.network.vpc_id
    subnets       = run.more_brokers_than_zones.subnets
    kms_key_arn   = run.more_brokers_than_zones.kms_key_arn
    kafka_version = "2.8.1"
  }

  expect_failures = [var.kafka_version]
}

run "an_open_cluster_is_refused" {
  command = plan

  variables {
    name              = "open"
    vpc_id            = run.more_brokers_than_zones.network.vpc_id
    subnets           = run.more_brokers_than_zones.subnets
    kms_key_arn       = run.more_brokers_than_zones.kms_key_arn
    server_properties = { "allow.everyone.if.no.acl.found" = "true" }
  }

  expect_failures = [var.server_properties]
}

run "two_zones_need_one_copy_to_go_on" {
  command = plan

  variables {
    name         = "pair"
    vpc_id       = run.more_brokers_than_zones.network.vpc_id
    subnets      = { for name, subnet in run.more_brokers_than_zones.subnets : name => subnet if name != "private_c" }
    kms_key_arn  = run.more_brokers_than_zones.kms_key_arn
    broker_count = 4
    topics       = { telemetry = { partition_count = 6 } }
  }

  assert {
    condition     = strcontains(aws_msk_configuration.this.server_properties, "min.insync.replicas = 1") && aws_msk_topic.this["telemetry"].replication_factor == 2
    error_message = "Writers must go on while a broker of one of two zones is restarted."
  }
}

run "numbers_that_mean_nothing_are_refused" {
  command = plan

  variables {
    name                = "odd"
    vpc_id              = run.more_brokers_than_zones.network.vpc_id
    subnets             = run.more_brokers_than_zones.subnets
    kms_key_arn         = run.more_brokers_than_zones.kms_key_arn
    broker_count        = 33
    retention_hours     = 0
    topics              = { telemetry = { partition_count = 0 } }
    credentials_version = 0
  }

  expect_failures = [var.broker_count, var.retention_hours, var.topics, var.credentials_version]
}
