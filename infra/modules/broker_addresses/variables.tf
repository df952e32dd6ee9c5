# SPDX-License-Identifier: Apache-2.0

variable "name" {
  description = "Prefix of every name, one per application."
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

variable "cluster_arn" {
  description = "ARN of the cluster."
  type        = string
}

variable "brokers" {
  description = "Brokers by id: host, the name by which a broker's identity is told, and target_group_arn, its load balancer's."
  type = map(object({
    host             = string
    target_group_arn = string
  }))
}

variable "port" {
  description = "Port of the targets."
  type        = number
}

variable "kms_key_arn" {
  description = "KMS key of the environment and the logs."
  type        = string
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 30
}

variable "alarm_topic_arns" {
  description = "SNS topics that alarms notify."
  type        = list(string)
  default     = []
}
