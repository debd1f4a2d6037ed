package cloudformation

import "maps"

// kinds are the types of resources that the lab has, by name.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-template-resource-type-ref.html
var kinds = allKinds()

func allKinds() map[string]*kind {
	out := make(map[string]*kind)
	for _, some := range []map[string]*kind{
		storageKinds(), identityKinds(), queueKinds(), eventKinds(), streamKinds(), lambdaKinds(), securityKinds(), keptKinds(), setKinds(),
	} {
		maps.Copy(out, some)
	}
	return out
}
