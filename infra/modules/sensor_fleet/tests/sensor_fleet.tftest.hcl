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
    condition     = strcontains(output.sensor_fleet.service_unit, "culvert produce --bootstrap-server b-1.")
    error_message = "The service must produce to the brokers by their own names."
  }
}

run "hardened" {
  variables {
    name                     = "hard"
    vpc_id                   = run.example.cluster.network.vpc_id
    subnet_ids               = [run.example.cluster.network.private_subnets["private_a"].id]
    cluster_arn              = run.example.cluster.kafka_cluster.cluster_arn
    cluster_name             = "example"
    topic                    = "telemetry"
    topic_arn                = run.example.cluster.kafka_cluster.topic_arns["telemetry"]
    bootstrap_servers        = "b-1.example:9098"
    broker_security_group_id = run.example.cluster.kafka_cluster.security_group_id
    s3_prefix_list_id        = run.example.cluster.network.prefix_list_ids["s3"]
    kms_key_arn              = run.example.cluster.kms_key_arn
    instance_count           = 2
    tags                     = { application = "events" }
  }

  assert {
    condition     = toset([for t in aws_launch_template.sensor.tag_specifications : t.resource_type if t.tags["application"] == "events"]) == toset(["instance", "network-interface", "volume"])
    error_message = "What the template starts must carry the tags, too."
  }

  assert {
    condition     = strcontains(tolist(aws_cloudwatch_metric_alarm.silent[0].metric_query)[0].expression, "SCHEMA(\"AWS/Kafka\", \"Broker ID\", \"Cluster Name\", Topic)")
    error_message = "Silence must be told from what Amazon MSK counts: for each broker and topic."
  }

  assert {
    condition     = aws_launch_template.sensor.metadata_options[0].http_tokens == "required" && aws_launch_template.sensor.metadata_options[0].http_put_response_hop_limit == 1
    error_message = "Instance metadata must be version 2 alone."
  }

  assert {
    condition     = aws_launch_template.sensor.network_interfaces[0].associate_public_ip_address == "false" && aws_launch_template.sensor.key_name == null
    error_message = "Sensors must have no public address and no SSH key."
  }

  assert {
    condition     = aws_launch_template.sensor.block_device_mappings[0].ebs[0].encrypted == "true"
    error_message = "Disks must be encrypted."
  }

  assert {
    condition = alltrue([
      for line in ["Restart=always", "DynamicUser=yes", "NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet="] :
      strcontains(output.service_unit, line)
    ])
    error_message = "The service must restart and hold no privileges."
  }

  assert {
    condition     = strcontains(base64decode(aws_launch_template.sensor.user_data), "systemctl enable --now culvert-produce.service")
    error_message = "The program must run as a service, not in the foreground of the instance's start."
  }

  assert {
    condition     = !can(regex("[Pp]assword|SecretString", base64decode(aws_launch_template.sensor.user_data)))
    error_message = "User data must hold no secret: sensors log in by IAM."
  }

  assert {
    condition     = toset(flatten([for s in jsondecode(aws_iam_role_policy.sensor.policy).Statement : s.Resource])) == toset([var.cluster_arn, var.topic_arn, "${aws_s3_bucket.program.arn}/${aws_s3_object.program.key}", var.kms_key_arn])
    error_message = "Sensors may touch their topic, their program and its key, and nothing else."
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.brokers.from_port == 9098 && aws_vpc_security_group_egress_rule.s3.prefix_list_id == var.s3_prefix_list_id
    error_message = "Sensors must reach the brokers and the bucket."
  }

  assert {
    condition     = aws_autoscaling_group.sensor.min_size == 2 && aws_autoscaling_group.sensor.max_size == 3
    error_message = "A broken instance must be replaced."
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.program.block_public_acls,
      aws_s3_bucket_public_access_block.program.block_public_policy,
      aws_s3_bucket_public_access_block.program.ignore_public_acls,
      aws_s3_bucket_public_access_block.program.restrict_public_buckets,
    ])
    error_message = "The bucket must not be public."
  }
}

run "no_devices_are_refused" {
  command = plan

  variables {
    name                     = "none"
    vpc_id                   = run.example.cluster.network.vpc_id
    subnet_ids               = []
    cluster_arn              = run.example.cluster.kafka_cluster.cluster_arn
    cluster_name             = "example"
    topic                    = "telemetry"
    topic_arn                = run.example.cluster.kafka_cluster.topic_arns["telemetry"]
    bootstrap_servers        = "b-1.example:9098"
    broker_security_group_id = run.example.cluster.kafka_cluster.security_group_id
    s3_prefix_list_id        = run.example.cluster.network.prefix_list_ids["s3"]
    kms_key_arn              = run.example.cluster.kms_key_arn
    instance_count           = -1
    devices                  = 0
    records_per_second       = 0
  }

  expect_failures = [var.instance_count, var.devices, var.records_per_second]
}
