// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"

	"culvert/infra/twin/provider/internal/cloud"
	"culvert/infra/twin/provider/internal/policy"
	"culvert/infra/twin/provider/internal/value"
)

const defaultKeyPolicy = `{"Version":"2012-10-17","Statement":[{"Sid":"Enable IAM User Permissions","Effect":"Allow",` +
	`"Principal":{"AWS":"arn:aws:iam::%s:root"},"Action":"kms:*","Resource":"*"}]}`

// checkKeyPolicy: whoever makes a key must be able to change its policy afterwards.
func checkKeyPolicy(o *Operation) error {
	if o.text("policy") == "" {
		o.Attrs["policy"] = fmt.Sprintf(defaultKeyPolicy, o.Account.ID)
	}
	if value.True(o.Attrs, "bypass_policy_lockout_safety_check") {
		return nil
	}
	a := ask{account: o.Account, role: o.Who.Role, action: "kms:PutKeyPolicy", resource: o.text("arn")}
	if ok, _, err := resourceAllows(a, o.Account.ID, o.text("policy"), true); err != nil || !ok {
		return fmt.Errorf("MalformedPolicyDocumentException: the new key policy will not allow you to update the key "+
			"policy in the future (%w)", orDenied(a, err))
	}
	return nil
}

func orDenied(a ask, err error) error {
	if err != nil {
		return err
	}
	return denied(a, "the key policy does not allow it")
}

func createAlias(o *Operation) error {
	for _, k := range o.Account.OfType("aws_kms_key") {
		if k.ID == o.text("target_key_id") || k.Text("arn") == o.text("target_key_id") {
			o.Attrs["target_key_arn"] = k.Text("arn")
		}
	}
	return nil
}

// keyOf finds the key that a kms_key_id of whatever form names; nil for the service's own key.
func keyOf(account *cloud.Account, id string) *cloud.Record {
	if id == "" {
		return nil
	}
	for _, alias := range account.OfType("aws_kms_alias") {
		if alias.Text("name") == id || alias.Text("arn") == id {
			id = alias.Text("target_key_arn")
		}
	}
	for _, k := range account.OfType("aws_kms_key") {
		if k.ID == id || k.Text("arn") == id {
			return k
		}
	}
	return nil
}

// deleteSecret: with a recovery window the name stays taken.
func deleteSecret(o *Operation) error {
	if days := value.Number(o.Attrs, "recovery_window_in_days"); days > 0 {
		o.Account.Buried["aws_secretsmanager_secret/"+o.text("name")] =
			fmt.Sprintf("a secret with this name is already scheduled for deletion (for %v days)", days)
	}
	return nil
}

func createSecretVersion(o *Operation) error {
	secret := byAttribute(o.Account, "aws_secretsmanager_secret", "arn", o.text("secret_id"))
	if key := keyOf(o.Account, secret.Text("kms_key_id")); key != nil {
		a := ask{account: o.Account, role: o.Who.Role, action: "kms:GenerateDataKey", resource: key.Text("arn"),
			context: map[string]string{"kms:viaservice": "secretsmanager." + o.region() + ".amazonaws.com",
				"kms:calleraccount": o.Account.ID}}
		if err := require(a, o.Account.ID, key.Text("policy"), true); err != nil {
			return err
		}
	}
	text := o.text("secret_string")
	hasWriteOnly := false
	if written := value.Text(o.Config, "secret_string_wo"); written != "" {
		text, hasWriteOnly = written, true
	}
	if text == "" && o.text("secret_binary") == "" {
		return fmt.Errorf("InvalidRequestException: you must provide either SecretString or SecretBinary")
	}
	o.Attrs["has_secret_string_wo"] = hasWriteOnly
	if secret.Hidden == nil {
		secret.Hidden = attrs{}
	}
	secret.Hidden["current"] = attrs{"secret_string": text, "version_id": o.text("version_id")}
	return nil
}

// readSecret answers GetSecretValue for a caller of any account.
func readSecret(o *Operation) error {
	owner, secret, err := o.locateSecret()
	if err != nil {
		return err
	}
	a := ask{account: o.Account, role: o.Who.Role, action: "secretsmanager:GetSecretValue", resource: secret.Text("arn"),
		context: map[string]string{"secretsmanager:versionstage": "AWSCURRENT"}}
	if err := mayReadSecret(a, owner, secret, o.region()); err != nil {
		return err
	}
	current, _ := secret.Hidden["current"].(attrs)
	if current == nil {
		return fmt.Errorf("ResourceNotFoundException: Secrets Manager can't find the specified secret value for staging "+
			"label: AWSCURRENT (%s)", secret.ID)
	}
	o.Attrs["arn"] = secret.Text("arn")
	o.Attrs["version_id"] = current["version_id"]
	o.Attrs["secret_string"], o.Attrs["secret_binary"] = current["secret_string"], ""
	o.Attrs["version_stages"] = []any{"AWSCURRENT"}
	o.Attrs["version_stage"] = "AWSCURRENT"
	o.Attrs["created_date"] = "2026-01-01T00:00:00Z"
	o.Attrs["id"] = fmt.Sprintf("%s|AWSCURRENT", secret.Text("arn"))
	return nil
}

// locateSecret: by name only in the own account; another account's secret needs its full ARN.
func (o *Operation) locateSecret() (*cloud.Account, *cloud.Record, error) {
	id := o.text("secret_id")
	notFound := fmt.Errorf("ResourceNotFoundException: Secrets Manager can't find the specified secret %q (account %s, "+
		"region %s; another account's secret is found by its full ARN only)", id, o.Account.ID, o.region())
	if !strings.HasPrefix(id, "arn:") {
		secret := byAttribute(o.Account, "aws_secretsmanager_secret", "name", id)
		if secret == nil || secret.Region != o.region() {
			return nil, nil, notFound
		}
		return o.Account, secret, nil
	}
	owner, secret, err := findByARN(o.World, "aws_secretsmanager_secret", id)
	if err != nil {
		return nil, nil, err
	}
	if secret == nil {
		return nil, nil, notFound
	}
	return owner, secret, nil
}

// mayReadSecret asks all that AWS asks: resource policy, identity policy, key policy.
func mayReadSecret(a ask, owner *cloud.Account, secret *cloud.Record, region string) error {
	resourcePolicy := secret.Text("policy")
	if p := owner.Get("aws_secretsmanager_secret_policy", secret.Text("arn")); p != nil {
		resourcePolicy = p.Text("policy")
	}
	if err := require(a, owner.ID, resourcePolicy, false); err != nil {
		return err
	}
	key := keyOf(owner, secret.Text("kms_key_id"))
	if key == nil {
		if owner.ID != a.account.ID {
			return fmt.Errorf("InvalidRequestException: you can't access a secret from a different account if you encrypt " +
				"the secret with the default KMS service key")
		}
		return nil
	}
	decrypt := ask{account: a.account, role: a.role, action: "kms:Decrypt", resource: key.Text("arn"),
		context: map[string]string{"kms:viaservice": "secretsmanager." + region + ".amazonaws.com",
			"kms:calleraccount": a.account.ID, "kms:encryptioncontext:secretarn": secret.Text("arn")}}
	if err := require(decrypt, owner.ID, key.Text("policy"), true); err != nil {
		return fmt.Errorf("access to KMS is not allowed: %w", err)
	}
	return nil
}

const passwordLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func randomPassword(o *Operation) error {
	alphabet := passwordLetters
	if !value.True(o.Attrs, "exclude_numbers") {
		alphabet += "0123456789"
	}
	if !value.True(o.Attrs, "exclude_punctuation") {
		alphabet += "!#$%&()*+,-./:;<=>?@[]^_{|}~"
	}
	alphabet = strings.Map(func(r rune) rune {
		if strings.ContainsRune(o.text("exclude_characters"), r) ||
			value.True(o.Attrs, "exclude_uppercase") && r >= 'A' && r <= 'Z' ||
			value.True(o.Attrs, "exclude_lowercase") && r >= 'a' && r <= 'z' {
			return -1
		}
		return r
	}, alphabet)
	if alphabet == "" {
		return fmt.Errorf("InvalidParameterException: every character is excluded")
	}
	length := int(value.Number(o.Attrs, "password_length"))
	if length == 0 {
		length = 32
	}
	var password strings.Builder
	for range length {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(alphabet))))
		if err != nil {
			return err
		}
		password.WriteByte(alphabet[n.Int64()])
	}
	o.Attrs["random_password"] = password.String()
	return nil
}

// scramSecretUsable says what Amazon MSK wants of a secret before it takes users from it.
func scramSecretUsable(account *cloud.Account, secret *cloud.Record) error {
	if !strings.HasPrefix(secret.Text("name"), "AmazonMSK_") {
		return fmt.Errorf("BadRequestException: the name of secret %s does not begin with AmazonMSK_", secret.Text("name"))
	}
	if keyOf(account, secret.Text("kms_key_id")) == nil {
		return fmt.Errorf("BadRequestException: secret %s is encrypted with the default key; Amazon MSK needs a "+
			"customer managed key", secret.Text("name"))
	}
	current, _ := secret.Hidden["current"].(attrs)
	var user struct{ Username, Password string }
	if err := json.Unmarshal([]byte(value.Text(current, "secret_string")), &user); err != nil || user.Username == "" ||
		user.Password == "" {
		return fmt.Errorf("BadRequestException: secret %s does not hold a username and a password", secret.Text("name"))
	}
	if p := account.Get("aws_secretsmanager_secret_policy", secret.Text("arn")); p != nil {
		ok, err := serviceAllowed(p.Text("policy"), "kafka.amazonaws.com", "secretsmanager:getSecretValue",
			secret.Text("arn"), nil)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("BadRequestException: the policy of secret %s does not let kafka.amazonaws.com read it",
				secret.Text("name"))
		}
	}
	return nil
}

// logGroupKey: CloudWatch Logs must be allowed to use the key, by the key's policy.
func logGroupKey(o *Operation) error {
	key := keyOf(o.Account, o.text("kms_key_id"))
	if key == nil {
		return nil
	}
	ok, err := serviceAllowed(key.Text("policy"), "logs."+o.region()+".amazonaws.com", "kms:GenerateDataKey",
		key.Text("arn"), map[string]string{"kms:encryptioncontext:aws:logs:arn": o.text("arn")})
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("AccessDeniedException: the specified KMS key does not exist or is not allowed to be used with "+
			"Arn '%s'", o.text("arn"))
	}
	return nil
}

// policyDocument renders data aws_iam_policy_document.
func policyDocument(o *Operation) error {
	indented, minified, err := policy.Render(o.Config)
	if err != nil {
		return err
	}
	o.Attrs["json"], o.Attrs["minified_json"] = indented, minified
	o.Attrs["id"] = o.hashOf(minified, 0)[:10]
	return nil
}
