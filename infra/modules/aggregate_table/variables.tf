# SPDX-License-Identifier: Apache-2.0

variable "name" {
  description = "Prefix of the tables' names, one per application."
  type        = string
}

variable "device_id_type" {
  description = "Type of device ids in the table: N (numbers) or S (text). It cannot be changed later."
  type        = string
  default     = "N"

  validation {
    condition     = contains(["N", "S"], var.device_id_type)
    error_message = "device_id_type must be N or S."
  }
}

variable "kms_key_arn" {
  description = "KMS key of the tables; its policy must let this account use it through DynamoDB."
  type        = string
}

variable "recovery_period_in_days" {
  description = "How far back the tables can be restored to any second, 1 to 35 days."
  type        = number
  default     = 35
}

variable "deletion_protection" {
  description = "Protect the tables from being deleted."
  type        = bool
  default     = true
}

variable "alarm_topic_arns" {
  description = "SNS topics that alarms notify."
  type        = list(string)
  default     = []
}
