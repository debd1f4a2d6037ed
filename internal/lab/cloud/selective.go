package cloud

import "maps"

// A Selective receiver tells about a target with regard to what is delivered: in S3 each put may choose its encryption.
type Selective interface {
	// ResourceFor is Receiver.Resource for one delivery.
	ResourceFor(d *Delivery) (Resource, error)
}

func resourceFor(receiver Receiver, d *Delivery) (Resource, error) {
	if s, ok := receiver.(Selective); ok {
		return s.ResourceFor(d)
	}
	return receiver.Resource(d.Target)
}

// PermitKeyWith is PermitKey with condition keys: kms:ViaService, kms:EncryptionContext:aws:s3:arn.
func (c *Cloud) PermitKeyWith(who Identity, key, action string, conditions map[string]string) error {
	return c.permitKey(who, key, action, conditions)
}

func join(a, b map[string]string) map[string]string {
	if len(b) == 0 {
		return a
	}
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}
