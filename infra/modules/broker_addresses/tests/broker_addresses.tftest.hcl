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
    condition     = output.broker_addresses.function_name == "example-broker-addresses"
    error_message = "The function must carry the application's name."
  }
}

run "narrow_and_alone" {
  variables {
    name        = "own"
    cluster_arn = run.example.exit.cluster.kafka_cluster.cluster_arn
    port        = 9096
    kms_key_arn = run.example.exit.cluster.kms_key_arn
    brokers = {
      for id, arn in run.example.exit.target_group_arns : id => {
        host             = run.example.exit.cluster.kafka_cluster.brokers[id].host
        target_group_arn = arn
      }
    }
  }

  assert {
    condition     = aws_lambda_function.this.environment[0].variables["CULVERT_ROLE"] == "reconcile"
    error_message = "The same package must be told to reconcile."
  }

  assert {
    condition = jsondecode(aws_lambda_function.this.environment[0].variables["CULVERT_BROKERS"])["2"] == {
      host             = var.brokers["2"].host
      port             = 9096
      target_group_arn = var.brokers["2"].target_group_arn
    }
    error_message = "Each broker must be told by id, with its name, port and target group."
  }

  assert {
    condition     = aws_scheduler_schedule.each_minute.schedule_expression == "rate(1 minute)" && aws_scheduler_schedule.each_minute.state == "ENABLED"
    error_message = "Addresses must be compared each minute."
  }

  assert {
    condition     = aws_lambda_function.this.reserved_concurrent_executions == 1 && aws_lambda_function.this.timeout < 60
    error_message = "Two runs must never overlap."
  }

  assert {
    condition = alltrue([
      for s in jsondecode(aws_iam_role_policy.function.policy).Statement :
      s.Resource != "*" || s.Action == "elasticloadbalancing:DescribeTargetHealth"
    ])
    error_message = "Only reading health may have no resource."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.behind.metric_name == "brokers_behind" && aws_cloudwatch_metric_alarm.behind.dimensions.service == aws_lambda_function.this.function_name
    error_message = "A broker that stays where nobody follows it must be told; the function says so under its own name."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.failing.metric_name == "Errors" && aws_cloudwatch_metric_alarm.silent.treat_missing_data == "breaching"
    error_message = "Failing and silence must both raise an alarm."
  }
}

run "too_many_brokers_are_refused" {
  command = plan

  variables {
    name        = "own"
    cluster_arn = run.example.exit.cluster.kafka_cluster.cluster_arn
    port        = 9096
    kms_key_arn = run.example.exit.cluster.kms_key_arn
    brokers = {
      for id in range(1, 40) : tostring(id) => {
        host             = "b-${id}.example.abcdef.c2.kafka.eu-central-1.amazonaws.com"
        target_group_arn = run.example.exit.target_group_arns["1"]
      }
    }
  }

  expect_failures = [aws_lambda_function.this]
}
