# SPDX-License-Identifier: Apache-2.0
# Where every alarm goes; subscribe to it (infra/README.md: "After the applies").

resource "aws_sns_topic" "alarms" {
  name              = "${var.application_name}-stream-alarms"
  kms_master_key_id = aws_kms_key.stream.arn
}

data "aws_iam_policy_document" "alarms" {
  statement {
    sid       = "AlarmsOfThisAccount"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alarms.arn]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.this.account_id]
    }
  }
}

resource "aws_sns_topic_policy" "alarms" {
  arn    = aws_sns_topic.alarms.arn
  policy = data.aws_iam_policy_document.alarms.json
}
