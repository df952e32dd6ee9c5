# SPDX-License-Identifier: Apache-2.0

variables {
  account_id                     = "111111111111"
  allowed_service_principal_arns = ["arn:aws:iam::222222222222:root"]
  deletion_protection            = false
  recovery_window_in_days        = 0
}

run "endpoint_per_broker" {
  assert {
    condition     = jsondecode(output.connection_document).authentication == "scram" && length(jsondecode(output.connection_document).brokers) == 3
    error_message = "By default consumers come by an endpoint per broker and log in by SCRAM."
  }

  assert {
    condition     = alltrue([for id, b in jsondecode(output.connection_document).brokers : startswith(b.host, "b-${id}.telemetry.") && b.port == 9096 && length(b.zone_ids) == 3])
    error_message = "Every broker must be handed over by id, with its own name, port and zones."
  }

  assert {
    condition     = can(regex("^arn:aws:secretsmanager:eu-central-1:111111111111:secret:", output.connection_secret_arn))
    error_message = "The hand-over must be given by its full ARN."
  }

  assert {
    condition     = startswith(module.network.private_subnets["private_a"].cidr_block, "10.1.1.")
    error_message = "The default address plan must stay as it is."
  }
}

run "the_consumer_is_let_in_by_exactly_these" {
  command = plan

  variables {
    consumer_group_ids = ["culvert-telemetry", "archive"]
  }

  assert {
    condition = [for acl in output.consumer_acls : "${acl.principal} ${acl.operation} ${acl.resource_type} ${acl.resource_name}"] == [
      "User:culvert READ topic telemetry",
      "User:culvert READ group archive",
      "User:culvert READ group culvert-telemetry",
      "User:culvert DESCRIBE_CONFIGS cluster kafka-cluster",
    ]
    error_message = "The consumer must be let in by its topic, its groups and what Lambda's pollers ask for, and no more."
  }
}

run "every_group_at_once_is_refused" {
  command = plan

  variables {
    consumer_group_ids = ["*"]
  }

  expect_failures = [var.consumer_group_ids]
}

run "multi_vpc" {
  variables {
    application_name = "managed"
    path             = "multi_vpc"
  }

  assert {
    condition     = jsondecode(output.connection_document).authentication == "iam" && output.credentials_secret_arn == null && length(output.consumer_acls) == 0 && output.acl_script == null
    error_message = "By managed connectivity consumers log in by IAM, without a password."
  }

  assert {
    condition     = length(module.broker_exit) == 0 && length(module.broker_addresses) == 0
    error_message = "Managed connectivity needs no load balancers of our own."
  }

  assert {
    condition     = startswith(jsondecode(output.connection_document).cluster, "arn:aws:kafka:eu-central-1:111111111111:cluster/managed/")
    error_message = "The hand-over must name the cluster by ARN, for the managed connection."
  }
}

run "administrators_come_by_a_group_of_their_own" {
  command = plan

  variables {
    administrator_security_group_ids = ["sg-0123456789abcdef0"]
  }

  assert {
    condition     = [for rule in aws_vpc_security_group_ingress_rule.administrator : "${rule.referenced_security_group_id} ${rule.from_port}-${rule.to_port}"] == ["sg-0123456789abcdef0 9098-9098"]
    error_message = "An administrator must reach the IAM listeners from the named group, and nothing else."
  }
}

run "administrators_are_groups" {
  command = plan

  variables {
    administrator_security_group_ids = ["10.0.0.0/8"]
  }

  expect_failures = [var.administrator_security_group_ids]
}

run "nobody_to_offer_it_to_is_refused" {
  command = plan

  variables {
    allowed_service_principal_arns = []
  }

  expect_failures = [var.allowed_service_principal_arns]
}

run "another_path_is_refused" {
  command = plan

  variables {
    path = "peering"
  }

  expect_failures = [var.path]
}

run "values_that_aws_would_refuse_are_refused_before_anything_is_made" {
  command = plan

  variables {
    account_id              = "11111111111"
    broker_storage_gib      = 0
    log_retention_days      = 31
    recovery_window_in_days = 3
  }

  expect_failures = [var.account_id, var.broker_storage_gib, var.log_retention_days, var.recovery_window_in_days]
}

run "a_region_of_another_partition_is_refused" {
  command = plan

  variables {
    region = "us-gov-west-1"
  }

  expect_failures = [var.region]
}

run "a_missing_package_is_refused" {
  command = plan

  variables {
    function_package = null
  }

  expect_failures = [var.function_package]
}
