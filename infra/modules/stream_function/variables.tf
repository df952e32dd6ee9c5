# SPDX-License-Identifier: Apache-2.0

variable "name" {
  description = "Name of the function and prefix of every other name, one per application."
  type        = string
}

variable "function_package" {
  description = "Path of the function's zip, as make lambda leaves it: bootstrap at its root."
  type        = string
}

variable "architecture" {
  description = "Processor that the package was built for: x86_64 or arm64."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "architecture must be x86_64 or arm64."
  }
}

variable "memory_mib" {
  description = "Memory of the function, in MiB; its share of a processor grows with it."
  type        = number
  default     = 512
}

variable "timeout_seconds" {
  description = "Longest time for one batch, at most 840 (a Kafka mapping allows no more than 14 minutes)."
  type        = number
  default     = 120

  validation {
    condition     = var.timeout_seconds >= 1 && var.timeout_seconds <= 840
    error_message = "timeout_seconds must be 1 to 840."
  }
}

variable "reserved_concurrency" {
  description = "Most instances of the function at once; one per partition is enough. -1: the account's limit."
  type        = number
  default     = 20

  validation {
    condition     = var.reserved_concurrency == -1 || (var.reserved_concurrency >= 1 && floor(var.reserved_concurrency) == var.reserved_concurrency)
    error_message = "reserved_concurrency must be a whole number from 1, or -1: with 0 the function never runs."
  }
}

variable "topic" {
  description = "Topic to read."
  type        = string
}

variable "consumer_group_id" {
  description = "Consumer group of the mapping. Never leave it to chance: a mapping that is made again must find its place."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9._-]{1,200}$", var.consumer_group_id))
    error_message = "consumer_group_id must be 1 to 200 of a-z, A-Z, 0-9, . _ and -."
  }
}

variable "bootstrap_servers" {
  description = "host:port of every broker, by their own names, for a self-managed source; null with source_arn."
  type        = string
  default     = null
}

variable "credentials_secret_arn" {
  description = "Full ARN of the secret with the SCRAM user, in this account, for a self-managed source; null with source_arn."
  type        = string
  default     = null

  validation {
    condition     = var.credentials_secret_arn == null || can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:.+-[0-9A-Za-z]{6}$", var.credentials_secret_arn))
    error_message = "credentials_secret_arn must be the full ARN of a secret, with its six last characters."
  }
}

variable "source_arn" {
  description = "ARN of the managed VPC connection to read through (IAM); null with bootstrap_servers."
  type        = string
  default     = null
}

variable "cluster_arn" {
  description = "ARN of the cluster behind source_arn."
  type        = string
  default     = null
}

variable "batch_size" {
  description = "Most records in one batch. Small batches cost a write per device and batch: 1000 or more."
  type        = number
  default     = 5000

  validation {
    condition     = var.batch_size >= 1000 && var.batch_size <= 10000
    error_message = "batch_size must be 1000 to 10000: below, each window is written many times over."
  }
}

variable "batching_window_seconds" {
  description = "How long a batch may wait to fill, in seconds."
  type        = number
  default     = 5

  validation {
    condition     = var.batching_window_seconds >= 0 && var.batching_window_seconds <= 300
    error_message = "batching_window_seconds must be 0 to 300."
  }
}

variable "poller" {
  description = "Who polls: provisioned (pollers of our own, no way to the internet needed, about 133 dollars a month per shared unit) or on_demand (no fixed cost, needs endpoints for lambda, sts and secretsmanager)."
  type = object({
    mode       = optional(string, "provisioned")
    minimum    = optional(number, 1)
    maximum    = optional(number, 1)
    group_name = optional(string, "culvert")
  })
  default = {}

  validation {
    condition     = contains(["provisioned", "on_demand"], var.poller.mode)
    error_message = "poller.mode must be provisioned or on_demand."
  }

  validation {
    condition     = var.poller.minimum >= 1 && var.poller.maximum >= var.poller.minimum
    error_message = "poller.minimum must be at least 1, and poller.maximum not below it."
  }
}

variable "on_failure" {
  description = "Where to send a batch that was tried too often (SQS or SNS); null: nothing is ever given up. A batch that was sent there must be redriven, or its records are missing."
  type = object({
    destination_arn            = string
    maximum_retry_attempts     = number
    maximum_record_age_seconds = optional(number, -1)
  })
  default = null

  validation {
    condition     = var.on_failure == null || try(var.on_failure.maximum_retry_attempts >= 0 && var.on_failure.maximum_retry_attempts <= 10000, false)
    error_message = "on_failure.maximum_retry_attempts must be 0 to 10000: with a destination, -1 would silently mean 10."
  }

  validation {
    condition     = var.on_failure == null || can(regex("^arn:aws[a-z-]*:(sqs|sns):", var.on_failure.destination_arn))
    error_message = "on_failure.destination_arn must be an SQS queue or an SNS topic."
  }
}

variable "tables" {
  description = "Tables by use, as module aggregate_table gives them."
  type = object({
    aggregates   = object({ name = string, arn = string })
    checkpoints  = object({ name = string, arn = string })
    dead_letters = object({ name = string, arn = string })
  })
}

variable "window" {
  description = "Windows: size, advance (null: the size), out_of_orderness (how late a reading may come before its window closes), allowed_lateness (how long after that it still corrects it)."
  type = object({
    size             = optional(string, "1m")
    advance          = optional(string)
    out_of_orderness = optional(string, "5s")
    allowed_lateness = optional(string, "1h")
  })
  default = {}

  validation {
    condition     = alltrue([for x in [var.window.size, coalesce(var.window.advance, var.window.size), var.window.out_of_orderness, var.window.allowed_lateness] : can(regex("^[0-9]+(ms|s|m|h|d)$", x))])
    error_message = "Durations must be a number and a unit: ms, s, m, h or d."
  }

  # As the program itself refuses it, but before anything is made.
  validation {
    condition = try(
      alltrue([for ms in [for x in [[var.window.size, coalesce(var.window.advance, var.window.size)]] : [
        for text in x : tonumber(regex("^[0-9]+", text)) * { ms = 1, s = 1000, m = 60000, h = 3600000, d = 86400000 }[regex("[a-z]+$", text)]
    ]] : ms[1] > 0 && ms[0] % ms[1] == 0 && ms[0] / ms[1] <= 1000]), false)
    error_message = "window.size must be a multiple of window.advance, and at most 1000 times as long."
  }
}

variable "generation" {
  description = "Raise it when the topic was deleted and made again, since its offsets begin anew."
  type        = number
  default     = 1

  validation {
    condition     = var.generation >= 1 && floor(var.generation) == var.generation
    error_message = "generation must be a whole number from 1."
  }
}

variable "subnet_ids" {
  description = "Private subnets of the function and of the mapping."
  type        = list(string)
}

variable "function_security_group_id" {
  description = "Security group of the function; gets a rule for DynamoDB."
  type        = string
}

variable "mapping_security_group_id" {
  description = "Security group of the mapping's pollers, which module broker_entry opens the endpoints for; null with source_arn."
  type        = string
  default     = null
}

variable "dynamodb_prefix_list_id" {
  description = "Addresses of the region's DynamoDB, from module network."
  type        = string
}

variable "kms_key_arn" {
  description = "KMS key of the tables, the environment, the logs and the credentials."
  type        = string
}

variable "log_level" {
  description = "Least level that is logged: DEBUG, INFO, WARN or ERROR."
  type        = string
  default     = "INFO"
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 30
}

variable "lag_records_max" {
  description = "Alarm when the function is so many records behind."
  type        = number
  default     = 100000

  validation {
    condition     = var.lag_records_max >= 1
    error_message = "lag_records_max must be at least 1."
  }
}

variable "alarm_topic_arns" {
  description = "SNS topics that alarms notify."
  type        = list(string)
  default     = []
}
