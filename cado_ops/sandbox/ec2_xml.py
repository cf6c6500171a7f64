"""An instance as EC2's XML, at full size. moto's own serializer takes 3 ms for one."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

from cado_ops.sandbox import acme

_PLATFORM_DETAILS = {"windows": ("Windows", "RunInstances:0002")}


def render_instance(instance: Any) -> str:
    """One ``<item>`` of an instancesSet."""
    ended = instance.state == "terminated"  # AWS then leaves out disks, network and addresses
    details, operation = _PLATFORM_DETAILS.get(instance.platform, ("Linux/UNIX", "RunInstances"))
    platform = f"<platform>{instance.platform}</platform>" if instance.platform else ""
    launched = f"{instance.launch_time:%Y-%m-%dT%H:%M:%S}.000Z"
    network = "" if ended else _network(instance)
    interfaces = "" if ended else "".join(_interface(nic, launched) for nic in instance.nics.values())
    reason = ""
    if instance.state_reason.code:
        reason = (
            f"<stateReason><code>{escape(instance.state_reason.code)}</code>"
            f"<message>{escape(instance.state_reason.message)}</message></stateReason>"
        )
    return (
        f"<item><instanceId>{instance.id}</instanceId><imageId>{instance.image_id}</imageId>"
        f"<instanceState><code>{instance.state_code}</code><name>{instance.state}</name></instanceState>"
        f"<reason>{escape(instance.state_transition_reason or '')}</reason>"
        f"<keyName>{escape(instance.key_name or '')}</keyName>"
        f"<amiLaunchIndex>{instance.ami_launch_index}</amiLaunchIndex><productCodes/>"
        f"<instanceType>{instance.instance_type}</instanceType><launchTime>{launched}</launchTime>"
        f"<placement><availabilityZone>{instance.availability_zone}</availabilityZone><groupName/>"
        f"<tenancy>{instance.placement.tenancy}</tenancy></placement>{platform}"
        f"<platformDetails>{details}</platformDetails><usageOperation>{operation}</usageOperation>"
        f"<usageOperationUpdateTime>{launched}</usageOperationUpdateTime>"
        f"<monitoring><state>{instance.monitoring_state}</state></monitoring>{network}"
        f"<sourceDestCheck>true</sourceDestCheck><groupSet>{'' if ended else _groups(instance.nics[0])}</groupSet>"
        f"{reason}<architecture>{instance.architecture}</architecture>"
        f"<rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/xvda</rootDeviceName>"
        f"<blockDeviceMapping>{''.join(map(_disk, instance.block_device_mapping.items()))}</blockDeviceMapping>"
        f"<virtualizationType>{instance.virtualization_type}</virtualizationType>"
        f"<clientToken>{escape(str(instance.client_token or ''))}</clientToken><tagSet>{_tags(instance)}</tagSet>"
        f"<hypervisor>{instance.hypervisor}</hypervisor>{_extras(instance)}"
        f"<networkInterfaceSet>{interfaces}</networkInterfaceSet><ebsOptimized>false</ebsOptimized>"
        f"<enaSupport>true</enaSupport><cpuOptions><coreCount>1</coreCount><threadsPerCore>2</threadsPerCore>"
        f"</cpuOptions><capacityReservationSpecification><capacityReservationPreference>open"
        f"</capacityReservationPreference></capacityReservationSpecification>"
        f"<hibernationOptions><configured>false</configured></hibernationOptions>"
        f"<metadataOptions><state>applied</state><httpTokens>{instance.metadata_options.http_tokens}</httpTokens>"
        f"<httpPutResponseHopLimit>2</httpPutResponseHopLimit><httpEndpoint>enabled</httpEndpoint>"
        f"<httpProtocolIpv6>disabled</httpProtocolIpv6><instanceMetadataTags>disabled</instanceMetadataTags>"
        f"</metadataOptions><enclaveOptions><enabled>false</enabled></enclaveOptions>"
        f"<bootMode>uefi-preferred</bootMode><currentInstanceBootMode>uefi</currentInstanceBootMode>"
        f"<privateDnsNameOptions><hostnameType>ip-name</hostnameType>"
        f"<enableResourceNameDnsARecord>false</enableResourceNameDnsARecord>"
        f"<enableResourceNameDnsAAAARecord>false</enableResourceNameDnsAAAARecord></privateDnsNameOptions>"
        f"<maintenanceOptions><autoRecovery>default</autoRecovery></maintenanceOptions></item>"
    )


def _extras(instance: Any) -> str:
    """What most instances lack. Those that moto itself made have none of it."""
    parts = []
    if getattr(instance, "has_profile", False):
        arn = f"arn:aws:iam::{instance.owner_id}:instance-profile/{acme.PROFILE}"
        parts.append(f"<iamInstanceProfile><arn>{arn}</arn><id>AIPA{'A' * 17}</id></iamInstanceProfile>")
    if getattr(instance, "is_spot", False):
        parts.append("<instanceLifecycle>spot</instanceLifecycle>")
    operator = getattr(instance, "operated_by", None)
    if operator:
        parts.append(f"<operator><managed>true</managed><principal>{operator}</principal></operator>")
    return "".join(parts)


def _network(instance: Any) -> str:
    nic = instance.nics[0]
    return (
        f"<subnetId>{nic.subnet.id}</subnetId><vpcId>{nic.subnet.vpc_id}</vpcId>"
        f"<privateIpAddress>{nic.private_ip_address}</privateIpAddress>"
        f"<privateDnsName>{instance.private_dns_name}</privateDnsName><dnsName/>"
    )


def _interface(nic: Any, launched: str) -> str:
    return (
        f"<item><networkInterfaceId>{nic.id}</networkInterfaceId><subnetId>{nic.subnet.id}</subnetId>"
        f"<vpcId>{nic.subnet.vpc_id}</vpcId><description/><ownerId>{nic.owner_id}</ownerId>"
        f"<status>in-use</status><macAddress>{nic.mac_address}</macAddress>"
        f"<privateIpAddress>{nic.private_ip_address}</privateIpAddress><sourceDestCheck>true</sourceDestCheck>"
        f"<groupSet>{_groups(nic)}</groupSet><attachment><attachmentId>{nic.attachment_id}</attachmentId>"
        f"<deviceIndex>{nic.device_index}</deviceIndex><status>attached</status>"
        f"<attachTime>{launched}</attachTime><deleteOnTermination>true</deleteOnTermination>"
        f"<networkCardIndex>0</networkCardIndex></attachment><privateIpAddressesSet><item>"
        f"<privateIpAddress>{nic.private_ip_address}</privateIpAddress><primary>true</primary></item>"
        f"</privateIpAddressesSet><interfaceType>interface</interfaceType></item>"
    )


def _groups(nic: Any) -> str:
    return "".join(
        f"<item><groupId>{group.id}</groupId><groupName>{escape(group.name)}</groupName></item>"
        for group in nic.group_set
    )


def _disk(mapping: tuple[str, Any]) -> str:
    device, disk = mapping
    return (
        f"<item><deviceName>{device}</deviceName><ebs><volumeId>{disk.volume_id}</volumeId>"
        f"<status>attached</status><attachTime>{disk.attach_time:%Y-%m-%dT%H:%M:%S}.000Z</attachTime>"
        f"<deleteOnTermination>{str(disk.delete_on_termination).lower()}</deleteOnTermination></ebs></item>"
    )


def _tags(instance: Any) -> str:
    tags = instance.ec2_backend.tags.get(instance.id, {})
    return "".join(
        f"<item><key>{escape(key)}</key><value>{escape(value)}</value></item>" for key, value in tags.items()
    )
