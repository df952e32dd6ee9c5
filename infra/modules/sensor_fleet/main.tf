# SPDX-License-Identifier: Apache-2.0
# Instances that run `culvert produce` as a hardened service: restarted when it ends, replaced when the machine does.
#
# Flow    [sensor_fleet] -> kafka_cluster.
# Owner   the stream account.
# Bounds  private subnets, no SSH, no way out but to the brokers and one bucket; logs in by IAM, so it holds no password.
# See     infra/README.md: "The program on the sensors" (how the archive is made).

data "aws_region" "this" {}

data "aws_ami" "debian" {
  most_recent = true
  owners      = ["136693071363"] # the Debian project

  filter {
    name   = "name"
    values = ["debian-12-${var.architecture == "x86_64" ? "amd64" : "arm64"}-*"]
  }

  filter {
    name   = "architecture"
    values = [var.architecture]
  }
}

locals {
  object_key = "culvert-${filesha256(var.program_package)}.tar.gz"

  unit = templatefile("${path.module}/culvert-produce.service.tftpl", {
    bootstrap_servers  = var.bootstrap_servers
    topic              = var.topic
    devices            = var.devices
    records_per_second = var.records_per_second
    region             = data.aws_region.this.region
  })

  user_data = templatefile("${path.module}/user_data.sh.tftpl", {
    region         = data.aws_region.this.region
    bucket_domain  = aws_s3_bucket.program.bucket_regional_domain_name
    object_key     = local.object_key
    program_sha256 = filesha256(var.program_package)
    unit           = local.unit
  })
}

# ---- the program ----

resource "aws_s3_bucket" "program" {
  #checkov:skip=CKV_AWS_18:holds one public program; who reads it is of no interest
  #checkov:skip=CKV_AWS_144:rebuilt and uploaded again by the next apply, wherever that is
  #checkov:skip=CKV2_AWS_62:nothing waits for its objects
  #checkov:skip=CKV2_AWS_61:the one object is replaced by the next; see the expiry of old versions below
  bucket_prefix = "${var.name}-program-"
  force_destroy = true
}

resource "aws_s3_bucket_public_access_block" "program" {
  bucket                  = aws_s3_bucket.program.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "program" {
  bucket = aws_s3_bucket.program.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "program" {
  bucket = aws_s3_bucket.program.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "program" {
  bucket = aws_s3_bucket.program.id

  rule {
    id     = "forget-old-programs"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = 30
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

data "aws_iam_policy_document" "bucket" {
  statement {
    sid       = "TLSOnly"
    effect    = "Deny"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${aws_s3_bucket.program.arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "program" {
  bucket = aws_s3_bucket.program.id
  policy = data.aws_iam_policy_document.bucket.json

  depends_on = [aws_s3_bucket_public_access_block.program]
}

resource "aws_s3_object" "program" {
  bucket      = aws_s3_bucket.program.id
  key         = local.object_key
  source      = var.program_package
  source_hash = filebase64sha256(var.program_package)

  # Encrypted by the bucket's own configuration, which must be there first.
  depends_on = [aws_s3_bucket_server_side_encryption_configuration.program, aws_s3_bucket_versioning.program]
}

# ---- who they are ----

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "sensor" {
  name_prefix        = "${var.name}-sensor-"
  description        = "Sensors of ${var.name}: write to ${var.topic}"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

data "aws_iam_policy_document" "sensor" {
  statement {
    sid       = "ConnectToTheCluster"
    actions   = ["kafka-cluster:Connect", "kafka-cluster:WriteDataIdempotently"]
    resources = [var.cluster_arn]
  }

  statement {
    sid       = "WriteToTheTopic"
    actions   = ["kafka-cluster:DescribeTopic", "kafka-cluster:WriteData"]
    resources = [var.topic_arn]
  }

  statement {
    sid       = "ReadTheProgram"
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.program.arn}/${local.object_key}"]
  }

  statement {
    sid       = "DecryptTheProgram"
    actions   = ["kms:Decrypt"]
    resources = [var.kms_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${data.aws_region.this.region}.amazonaws.com"]
    }
  }
}

resource "aws_iam_role_policy" "sensor" {
  name   = "produce"
  role   = aws_iam_role.sensor.name
  policy = data.aws_iam_policy_document.sensor.json
}

resource "aws_iam_instance_profile" "sensor" {
  name_prefix = "${var.name}-sensor-"
  role        = aws_iam_role.sensor.name
}

# ---- what they reach ----

resource "aws_security_group" "sensor" {
  name_prefix = "${var.name}-sensor-"
  description = "Sensors of ${var.name}: nothing comes in"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-sensor" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_egress_rule" "brokers" {
  security_group_id            = aws_security_group.sensor.id
  description                  = "To the brokers"
  referenced_security_group_id = var.broker_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = var.port
  to_port                      = var.port
}

resource "aws_vpc_security_group_ingress_rule" "brokers" {
  security_group_id            = var.broker_security_group_id
  description                  = "From the sensors"
  referenced_security_group_id = aws_security_group.sensor.id
  ip_protocol                  = "tcp"
  from_port                    = var.port
  to_port                      = var.port
}

resource "aws_vpc_security_group_egress_rule" "s3" {
  security_group_id = aws_security_group.sensor.id
  description       = "To the bucket, by the gateway endpoint"
  prefix_list_id    = var.s3_prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# ---- the instances ----

resource "aws_launch_template" "sensor" {
  name_prefix            = "${var.name}-sensor-"
  description            = "culvert produce on Debian 12"
  image_id               = coalesce(var.image_id, data.aws_ami.debian.id)
  instance_type          = var.instance_type
  update_default_version = true
  user_data              = base64encode(local.user_data)

  iam_instance_profile {
    arn = aws_iam_instance_profile.sensor.arn
  }

  network_interfaces {
    associate_public_ip_address = false
    delete_on_termination       = true
    security_groups             = [aws_security_group.sensor.id]
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      encrypted             = true
      volume_type           = "gp3"
      volume_size           = 8
      delete_on_termination = true
    }
  }

  monitoring {
    enabled = true
  }

  # The provider's default tags end at the template: what it starts must be told them.
  dynamic "tag_specifications" {
    for_each = ["instance", "network-interface", "volume"]

    content {
      resource_type = tag_specifications.value
      tags          = merge(var.tags, { Name = "${var.name}-sensor" })
    }
  }

  lifecycle {
    precondition {
      condition     = length(local.user_data) <= 16384
      error_message = "The instances' user data has more than 16384 bytes."
    }

    # A newer image alone is no reason to replace running sensors.
    ignore_changes = [image_id]
  }
}

resource "aws_autoscaling_group" "sensor" {
  name_prefix               = "${var.name}-sensor-"
  min_size                  = var.instance_count
  max_size                  = var.instance_count + 1
  desired_capacity          = var.instance_count
  vpc_zone_identifier       = var.subnet_ids
  health_check_type         = "EC2"
  health_check_grace_period = 120
  wait_for_capacity_timeout = "10m"

  launch_template {
    id      = aws_launch_template.sensor.id
    version = aws_launch_template.sensor.latest_version
  }

  instance_refresh {
    strategy = "Rolling"

    preferences {
      min_healthy_percentage = 50
    }
  }

  tag {
    key                 = "Name"
    value               = "${var.name}-sensor"
    propagate_at_launch = true
  }

  # What the instances fetch and may do must be there before the first one starts.
  depends_on = [aws_iam_role_policy.sensor, aws_s3_object.program, aws_vpc_security_group_egress_rule.s3]
}

resource "aws_cloudwatch_metric_alarm" "silent" {
  count = var.instance_count > 0 ? 1 : 0

  alarm_name          = "${var.name}-sensors-silent"
  alarm_description   = "No readings have reached ${var.topic} for five minutes."
  comparison_operator = "LessThanOrEqualToThreshold"
  threshold           = 0
  evaluation_periods  = 5
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns

  # Amazon MSK counts bytes for each broker and topic, free of charge, never for a topic as a whole; a sum over a list of brokers
  # would end at the ten metrics that an alarm may name.
  metric_query {
    id          = "readings"
    label       = "Bytes of readings a second"
    period      = 60
    return_data = true
    expression  = "SELECT SUM(BytesInPerSec) FROM SCHEMA(\"AWS/Kafka\", \"Broker ID\", \"Cluster Name\", Topic) WHERE \"Cluster Name\" = '${var.cluster_name}' AND Topic = '${var.topic}'"
  }
}
