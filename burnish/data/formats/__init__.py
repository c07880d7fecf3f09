"""One file for each data format; the file name is the value of `data.format`.

A format module has
    FIELDS     our name -> usual spellings in people's files, the first is ours
    REQUIRED   names of FIELDS that a record must have
    KIND       the task that records of this format usually mean
    RANK       the format with the lowest rank is taken where several fit
    COMPANIONS the other columns beside which `auto` takes this format (any of a file's: None)
    PROMPTED   whether `data.prompt` and `data.answer` apply
    turns(record, layout) -> the messages of one record; () where it is empty; raises Fault where it is wrong
"""
