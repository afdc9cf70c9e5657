"""How `fit`, `evaluate` and `predict` walk through data.

arrays.py                  what counts as an array; validation_split; class weights
array_data_adapter.py      arrays in memory: batches, shuffling
py_dataset_adapter.py      `PyDataset`: batches by index, loaded ahead by threads
generator_data_adapter.py  Python generators
data_adapter.py            the interface of the three
epoch_iterator.py          chooses one of them and counts steps and epochs
"""

from minikeras.trainers.data_adapters.arrays import (
    class_weight_to_sample_weights,
    train_validation_split,
)
from minikeras.trainers.data_adapters.data_adapter import DataAdapter
from minikeras.trainers.data_adapters.epoch_iterator import (
    EpochIterator,
    get_data_adapter,
    is_array_data,
)
from minikeras.utils.data_tuples import (
    pack_x_y_sample_weight,
    unpack_x_y_sample_weight,
)

__all__ = [
    "DataAdapter",
    "EpochIterator",
    "class_weight_to_sample_weights",
    "get_data_adapter",
    "is_array_data",
    "pack_x_y_sample_weight",
    "train_validation_split",
    "unpack_x_y_sample_weight",
]
