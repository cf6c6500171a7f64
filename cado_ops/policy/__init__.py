"""Pure: IAM and key policies as plain data. Read, evaluated, rendered; no AWS call is made here."""
