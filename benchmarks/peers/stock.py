"""cado-ops without its short ways: as botocore and Python do it by themselves."""

import sys

import cado_ops.aws.repeat
import cado_ops.aws.session
from cado_ops.aws.tls import Trust
from cado_ops.cli.app import main

cado_ops.aws.session.use_cut_models = lambda core: None
cado_ops.aws.session.use_short_parsers = lambda core: None
cado_ops.aws.repeat.copy_of = lambda *_: None
Trust.share = lambda self, client: False

if __name__ == "__main__":
    sys.exit(main())
