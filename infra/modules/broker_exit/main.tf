# SPDX-License-Identifier: Apache-2.0
# The stream account's side of the private path: per broker a load balancer and an endpoint service.
#
# Flow    kafka_cluster -> [broker_exit] ═ private link ═> broker_entry in the other account.
# Owner   the stream account.
# Bounds  only the allowed principals can ask, only accepted endpoints get through, only to the brokers' one port.
# See     infra/README.md: "Acceptance"; module broker_addresses keeps the targets up to date.

locals {
  # One entry per consumer and broker: the accepters' keys must be known before the endpoints are.
  accepted = merge([
    for consumer, endpoints in var.accepted_endpoints : {
      for broker_id, endpoint_id in endpoints : "${consumer}/${broker_id}" => { broker_id = broker_id, endpoint_id = endpoint_id }
    }
  ]...)
}

# A network load balancer's security group must be there when it is made; it cannot be added later.
resource "aws_security_group" "exit" {
  name_prefix = "${var.name}-broker-exit-"
  description = "Load balancers in front of the brokers of ${var.name}: only private links come in"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-broker-exit" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_egress_rule" "to_brokers" {
  security_group_id            = aws_security_group.exit.id
  description                  = "To the brokers"
  referenced_security_group_id = var.broker_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = var.port
  to_port                      = var.port
}

resource "aws_vpc_security_group_ingress_rule" "brokers" {
  security_group_id            = var.broker_security_group_id
  description                  = "From the load balancers of the private path"
  referenced_security_group_id = aws_security_group.exit.id
  ip_protocol                  = "tcp"
  from_port                    = var.port
  to_port                      = var.port
}

resource "aws_lb" "broker" {
  #checkov:skip=CKV_AWS_91:access logs of network load balancers exist for TLS listeners only; these pass TCP through
  #checkov:skip=CKV2_AWS_28:a web application firewall does not apply to network load balancers
  #checkov:skip=CKV_AWS_150:deletion protection is an input, on by default
  for_each = var.brokers

  # A prefix leaves room for the rest that makes the name unique: two clusters never collide on "b-1".
  name_prefix        = "b${each.key}-"
  internal           = true
  load_balancer_type = "network"
  subnets            = [for subnet in var.subnets : subnet.id]
  security_groups    = [aws_security_group.exit.id]

  # A target lives in one zone; endpoints in the others must reach it all the same.
  enable_cross_zone_load_balancing = true
  enable_deletion_protection       = var.deletion_protection

  # Off on purpose: who may come in over a private link is decided by principals, acceptance and the endpoint's own
  # group. Left on, the addresses of every consumer's network would have to be listed here, or traffic is dropped
  # without a word. The group has no inbound rule, so nothing else comes in.
  enforce_security_group_inbound_rules_on_private_link_traffic = "off"

  tags = { Name = "${var.name}-broker-${each.key}" }
}

resource "aws_lb_target_group" "broker" {
  #checkov:skip=CKV_AWS_378:TLS goes through to the broker unbroken: the target group carries TCP
  for_each = var.brokers

  name_prefix            = "b${each.key}-"
  vpc_id                 = var.vpc_id
  target_type            = "ip"
  protocol               = "TCP"
  port                   = var.port
  preserve_client_ip     = false
  deregistration_delay   = 60
  connection_termination = true

  health_check {
    protocol            = "TCP"
    port                = tostring(var.port)
    interval            = 10
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }

  tags = { Name = "${var.name}-broker-${each.key}" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_lb_target_group_attachment" "broker" {
  for_each = var.brokers

  target_group_arn = aws_lb_target_group.broker[each.key].arn
  target_id        = each.value.address
  port             = var.port

  lifecycle {
    # The new address must be there before the old one goes.
    create_before_destroy = true
  }
}

resource "aws_lb_listener" "broker" {
  #checkov:skip=CKV_AWS_2:TLS goes through to the broker unbroken, so that its own name is verified
  #checkov:skip=CKV_AWS_103:TLS goes through to the broker unbroken
  #checkov:skip=CKV2_AWS_20:redirection is for HTTP; this is TCP
  for_each = var.brokers

  load_balancer_arn        = aws_lb.broker[each.key].arn
  protocol                 = "TCP"
  port                     = var.port
  tcp_idle_timeout_seconds = var.idle_timeout_seconds

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.broker[each.key].arn
  }
}

resource "aws_vpc_endpoint_service" "broker" {
  for_each = var.brokers

  acceptance_required        = true
  network_load_balancer_arns = [aws_lb.broker[each.key].arn]

  tags = { Name = "${var.name}-broker-${each.key}" }

  depends_on = [aws_lb_listener.broker]
}

resource "aws_vpc_endpoint_service_allowed_principal" "broker" {
  for_each = {
    for pair in setproduct(keys(var.brokers), var.allowed_principal_arns) : "${pair[0]} ${pair[1]}" => {
      broker_id     = pair[0]
      principal_arn = pair[1]
    }
  }

  vpc_endpoint_service_id = aws_vpc_endpoint_service.broker[each.value.broker_id].id
  principal_arn           = each.value.principal_arn
}

resource "aws_vpc_endpoint_connection_accepter" "broker" {
  for_each = local.accepted

  vpc_endpoint_service_id = aws_vpc_endpoint_service.broker[each.value.broker_id].id
  vpc_endpoint_id         = each.value.endpoint_id
}

resource "aws_cloudwatch_metric_alarm" "unreachable" {
  for_each = var.brokers

  alarm_name          = "${var.name}-broker-${each.key}-unreachable"
  alarm_description   = "The load balancer of broker ${each.key} has no healthy target: the broker is down, or it has moved and broker_addresses has not followed."
  namespace           = "AWS/NetworkELB"
  metric_name         = "HealthyHostCount"
  dimensions          = { LoadBalancer = aws_lb.broker[each.key].arn_suffix, TargetGroup = aws_lb_target_group.broker[each.key].arn_suffix }
  statistic           = "Minimum"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = 60
  evaluation_periods  = 3
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
}
