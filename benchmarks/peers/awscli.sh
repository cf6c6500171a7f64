#!/usr/bin/env bash
# What somebody does with the AWS CLI: a loop over accounts and regions. BENCH_ACCOUNTS, BENCH_REGIONS, BENCH_AWS.
set -euo pipefail
for account in $BENCH_ACCOUNTS; do
    read -r key secret token < <("$BENCH_AWS" sts assume-role --role-arn "arn:aws:iam::$account:role/R" \
        --role-session-name bench --output text \
        --query 'Credentials.[AccessKeyId,SecretAccessKey,SessionToken]')
    export key secret token
    for region in $BENCH_REGIONS; do
        (
            export AWS_ACCESS_KEY_ID=$key AWS_SECRET_ACCESS_KEY=$secret AWS_SESSION_TOKEN=$token
            ids=$("$BENCH_AWS" ec2 describe-instances --region "$region" --output text \
                --query 'Reservations[].Instances[].InstanceId')
            # shellcheck disable=SC2086
            "$BENCH_AWS" ec2 create-tags --region "$region" --resources $ids --tags Key=CadoResponseSSMEnabled,Value=True
        )
    done
done
