"""Errors about who calls, from where and how much: credentials, regions, quotas, throttling, AWS's own faults.

Sources: "Common errors" in each service's API reference; "Error codes for the Amazon EC2 API"; STS API reference,
"AssumeRole"; what the AWS CLI and botocore say themselves.
"""

from __future__ import annotations

from cado_ops.verdict.denial.model import Known

DENIED_CODES = frozenset(
    {
        # 403 is all that an answer without a body says (HEAD requests of S3).
        "403", "AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException",
        "NotAuthorized", "NotAuthorizedException", "UnauthorizedAccess", "UnauthorizedException",
        "UnauthorizedOperation", "KMSAccessDeniedException", "KMS.AccessDeniedException",
        "OpsItemAccessDeniedException",
    }
)  # fmt: skip

ACCESS = (
    Known(
        "credentials-expired",
        "The session that was used has ended: this says nothing about permissions. Renew the credentials and run "
        "the same command again; a run of this program that was cut off goes on with cado-ops runs resume.",
        ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired",
         "ExpiredTradeInTokenException"),
        (r"The security token included in the request is expired", r"The provided token has expired",
         r"Request has expired\.", r"Credentials were refreshed, but the refreshed credentials are still expired"),
    ),
    Known(
        "credentials-expired",
        "The login to IAM Identity Center (SSO) has run out: log in again, with the profile that was used.",
        ("UnauthorizedSSOTokenError", "SSOTokenLoadError"),
        (r"The SSO session associated with this profile has expired", r"Token has expired and refresh failed",
         r"Error loading SSO Token", r"Error when retrieving token from sso"),
        "aws sso login",
    ),
    Known(
        "clock-skew",
        "The clock of the machine that signed the request differs from AWS's by more than AWS accepts (5 "
        "minutes, 15 for some): set that clock right. It is no matter of permissions.",
        ("RequestTimeTooSkewed", "RequestInTheFuture"),
        (r"Signature expired: \S{1,40} is now earlier than",
         r"Signature not yet current: \S{1,40} is still later than"),
    ),
    Known(
        "credentials-invalid",
        "AWS does not accept the credentials: the access key is unknown, deactivated or deleted, its secret or "
        "session token does not belong to it, or the region is not enabled in the account (then other regions "
        "work). aws sts get-caller-identity shows whether they work at all.",
        ("AuthFailure", "IncompleteSignature", "IncompleteSignatureException", "InvalidAccessKeyId",
         "InvalidClientTokenId", "InvalidSignatureException", "InvalidSecurity", "MissingAuthenticationToken",
         "MissingAuthenticationTokenException", "SignatureDoesNotMatch", "UnrecognizedClientException"),
        (r"The security token included in the request is invalid",
         r"AWS was not able to validate the provided access credentials",
         r"The request signature we calculated does not match the signature you provided",
         r"The AWS Access Key Id you provided does not exist in our records"),
    ),
    Known(
        "credentials-missing",
        "No request was sent: the program that said this found no AWS credentials (no environment variables, no "
        "profile, no instance role).",
        ("NoCredentialsError", "NoCredentialProviders", "PartialCredentialsError", "CredentialsProviderError"),
        (r"Unable to locate credentials", r"Partial credentials found in",
         r"Could not load credentials from any providers", r"no EC2 IMDS role found"),
    ),
    Known(
        "profile-missing",
        "No request was sent: the AWS configuration has no profile of that name. aws configure list-profiles "
        "shows which there are.",
        ("ProfileNotFound",),
        (r"The config profile \([^)\n]{1,100}\) could not be found",),
    ),
    Known(
        "region-missing",
        "No request was sent: no region is set. Name one with --region, AWS_REGION or in the profile.",
        ("NoRegionError",),
        (r"You must specify a region",),
    ),
    Known(
        "mfa-refused",
        "The MFA code was wrong, already used or late, or belongs to another device.",
        (),
        (r"MultiFactorAuthentication failed", r"MFA one time pass code"),
    ),
    Known(
        "session-too-long",
        "The session asked for is longer than allowed: one hour where a role assumes a role (role chaining), "
        "else the role's own MaxSessionDuration. Ask for less; this program asks for an hour.",
        (),
        (r"The requested DurationSeconds exceeds",),
    ),
    Known(
        "region-disabled",
        "STS is not active in that region for the account, or the region is not enabled there. Choose another "
        "region for the call (AWS_REGION), or have the account's administrator enable it.",
        ("RegionDisabledException",),
        (r"STS is not activated in this region for account: ?(?P<account>[0-9]{12})?",),
    ),
    Known(
        "not-enabled",
        "It is no policy: the service or region is not enabled for that account, or the account is not signed up "
        "for it. Whoever administers the account can enable it; or leave that account or region out.",
        ("OptInRequired", "SubscriptionRequiredException", "NotSignedUp"),
        (r"You are not subscribed to this service", r"The AWS Access Key Id needs a subscription for the service",
         r"\b(?:Macie|GuardDuty|Security Hub|Inspector|Detective|Amazon \w{3,20}|AWS \w{3,20}) is not enabled",
         r"is not subscribed to AWS Security Hub"),
    ),
    Known(
        "not-enabled",
        "It is no policy: the account's billing data is closed to IAM users and roles until its root user "
        "activates \"IAM user and role access to Billing information\" in the account settings. Nothing here "
        "needs it.",
        (),
        (r"IAM user access not activated",),
    ),
    Known(
        "no-organization",
        "The account that asked belongs to no organisation, so --org and --ou have nothing to read. Name "
        "accounts with --account, or read the organisation through --org-role-arn.",
        ("AWSOrganizationsNotInUseException",),
        (r"Your account is not a member of an organization",),
    ),
    Known(
        "organization-closed",
        "Only the organisation's management account, or an administrator delegated to, may read it: use that "
        "account's credentials, or --org-role-arn with a role there.",
        (),
        (r"You don't have permissions to access this resource",),
    ),
    Known(
        "account-blocked",
        "AWS has blocked or not yet verified the account: only AWS Support can mend that, for the account's "
        "owner.",
        ("Blocked", "PendingVerification"),
        (r"This account is currently blocked and not recognized as a valid account",),
    ),
    Known(
        "throttled",
        "AWS throttled the caller: too many requests a second in that account and region. It passes by itself. "
        "Run it again later, with a smaller --max-concurrency; it is neither a quota nor a permission.",
        ("BandwidthLimitExceeded", "EC2ThrottledException", "PriorRequestNotComplete",
         "ProvisionedThroughputExceededException", "RequestLimitExceeded", "RequestThrottled",
         "RequestThrottledException", "SlowDown", "SnapshotCreationPerVolumeRateExceeded", "ThrottledException",
         "Throttling", "ThrottlingException", "TooManyRequestsException", "ConcurrentTagAccess", "TooManyUpdates"),
        (r"\bRate exceeded(?=[.)\"'\s]|$)", r"Request limit exceeded\.",
         r"The maximum per volume CreateSnapshot request rate has been exceeded"),
    ),
    Known(
        "tag-quota",
        "The resource has all the tags that AWS allows: 50, tags that begin with aws: not counted. Overwriting "
        "a tag still works; for a new one, somebody who knows them has to remove another.",
        ("TagLimitExceeded", "TooManyTagsError", "TooManyTagsException"),
        (r"The maximum number of Tags for a resource has been reached",),
    ),
    Known(
        "quota",
        "A quota of the account in that region is used up; waiting alone does not help. Free some of it, or "
        "have it raised in Service Quotas by whoever administers the account.",
        ("ConcurrentSnapshotLimitExceeded", "DocumentLimitExceeded", "InstanceLimitExceeded", "LimitExceeded",
         "LimitExceededException", "MaxIOPSLimitExceeded", "PendingSnapshotLimitExceeded", "ResourceLimitExceeded",
         "ResourceLimitExceededException", "ServiceQuotaExceededException", "SnapshotLimitExceeded",
         "VcpuLimitExceeded", "VolumeLimitExceeded"),
    ),
    Known(
        "aws-fault",
        "AWS failed to answer, or something on its side did. Whether the request took effect is open: look, "
        "then run it again. Where it lasts, look at the AWS Health Dashboard.",
        ("InternalError", "InternalFailure", "InternalServerError", "InternalServerException",
         "KMSInternalException",
         "DependencyTimeoutException", "ServiceUnavailable", "ServiceUnavailableException", "Unavailable"),
    ),
    Known(
        "unreachable",
        "No answer came from AWS's endpoint. Either the region's name is wrong (there is no such endpoint "
        "then), or the way there is closed: network, proxy, firewall, or a VPC without an endpoint for the "
        "service.",
        ("EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError",
         "ProxyConnectionError"),
        (r"Could not connect to the endpoint URL", r"Connect timeout on endpoint URL",
         r"Read timeout on endpoint URL",
         r"Connection was closed before we received a valid response from endpoint URL"),
    ),
    Known(
        "tls-refused",
        "AWS's endpoint was reached, and the certificate that answered is not trusted: usually a proxy stands "
        "between that opens the connection. Name its authority's certificates in AWS_CA_BUNDLE. It is no matter "
        "of permissions.",
        (),
        (r"SSL validation failed for",),
    ),
    Known(
        "would-succeed",
        "It is no error: the request was a dry run, and AWS says that it would be allowed.",
        ("DryRunOperation", "DryRunOperationException"),
        (r"Request would have succeeded, but DryRun flag is set",
         r"The request would have succeeded, but the DryRun option is set"),
    ),
    Known(
        "protected",
        "It is no policy: the resource itself is protected against being stopped or ended, on purpose. Whoever "
        "runs it decides; on an instance under investigation leave the protection in place.",
        (),
        (r"The instance '(?P<instance>i-[0-9a-f]{8,17})' may not be (?:stopped|terminated)",
         r"'arn:[^'\n]{1,400}+' cannot be deleted because deletion protection is enabled",
         r"Cannot perform the operation on the protected (?:role|policy|user)",
         r"is only modifiable by AWS"),
    ),
    Known(
        "invalid-request",
        "AWS calls the request itself wrong: a parameter, its form or a combination. It is no matter of "
        "permissions; the message says which parameter.",
        ("InvalidParameter", "InvalidParameterCombination", "InvalidParameterException", "InvalidParameterValue",
         "InvalidParameterValueException", "InvalidInputException", "InvalidRequest", "InvalidRequestException",
         "MissingParameter", "UnknownParameter", "ValidationError", "ValidationException", "InvalidFilter",
         "InvalidFilterKey", "InvalidFilterValue", "ParamValidationError", "MalformedPolicyDocument",
         "MalformedPolicyDocumentException"),
    ),
)  # fmt: skip
