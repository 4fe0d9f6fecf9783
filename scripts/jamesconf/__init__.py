"""What scripts/james2yaml.py is made of: James's XML configuration in, mxring's YAML out.

    cli         command line, exit status          xmltree     XML -> nodes with line numbers
    convert     files -> servers -> one YAML       report      one line for each judgement
    options     options of a server, one by one    values      James's booleans, sizes, durations
    access      who may relay, AUTH, identity      networks    authorizedAddresses
    tls         the tls block                      keystore    PKCS12 -> PEM
    chain       the handler chain                  hooks       table of James's handler classes
    neighbours  domains, users, rewrite table      versions    which James wrote the file
    names       nearest known name                 yamlout     YAML with comments
    output      files written all or none

Only the standard library of Python 3.11; openssl is called for keystores.
"""
